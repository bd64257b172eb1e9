//! What is wrong with a configuration file, and where.

use std::io;
use std::path::PathBuf;

/// A configuration that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file is there and can't be read.
    #[error("{}: the configuration can't be read: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is far larger than any configuration.
    #[error("{}: a configuration has at most {limit} bytes", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// The most.
        limit: u64,
    },
    /// It says something that has no meaning.
    #[error("{}:{line}:{column}: {message}", path.display())]
    Wrong {
        /// Which file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The column, from 1.
        column: u64,
        /// What is wrong there, and what would be right.
        message: String,
    },
}
