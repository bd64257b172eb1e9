//! Whatever crashes and whatever the driver answers: nothing leaks, and nothing is handed out twice.
//!
//! What is long is ignored here and is run by `make siege`; a part of it runs with the other tests.

mod answers;
mod bed;
mod crash;
mod layouts;
mod model;
mod others;
mod scenes;
mod steps;
mod work;
mod world;
