//! Every message that a user can get: as the sources have them, in one list, and as users meet them.
//!
//! `mistakes/` has scenes, each with commands that go wrong; what they say is kept in snapshots. The list is
//! taken from the sources, and marks each message that no snapshot of the repository shows.

mod catalogue;
mod scenes;
mod sources;
mod unprovoked;

use scenes::play;

#[test]
fn mistakes_on_the_command_line() {
    insta::assert_snapshot!(play("command_line"));
}

#[test]
fn mistakes_in_files() {
    insta::assert_snapshot!(play("files"));
}

#[test]
fn nodes_that_are_broken() {
    insta::assert_snapshot!(play("nodes"));
}

#[test]
fn claims_that_can_t_be() {
    insta::assert_snapshot!(play("claims"));
}

#[test]
fn layouts_that_can_t_be() {
    insta::assert_snapshot!(play("layouts"));
}

#[test]
fn engines_that_can_t_be_set_up() {
    insta::assert_snapshot!(play("engines"));
}

#[test]
fn containers_that_can_t_be_served() {
    insta::assert_snapshot!(play("containers"));
}
