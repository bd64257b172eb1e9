//! The Container Device Interface (CDI) format. This crate knows no GPU.
