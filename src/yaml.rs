//! What is wrong with a YAML (or JSON) text, in one line.

/// An error's message and where it is.
#[derive(Debug)]
pub(crate) struct YamlError {
    pub(crate) message: String,
    /// From 1.
    pub(crate) line: u64,
    /// From 1.
    pub(crate) column: u64,
}

impl From<serde_saphyr::Error> for YamlError {
    fn from(error: serde_saphyr::Error) -> YamlError {
        let (line, column) =
            error.location().map(|location| (location.line(), location.column())).unwrap_or((1, 1));
        let text = error.without_snippet().to_string();
        let place = format!(" at line {line}, column {column}");
        let message = text.strip_suffix(&place).unwrap_or(&text);
        // What a program could set says nothing to who wrote the file.
        let message = message.split(", set DuplicateKeyPolicy").next().unwrap_or(message);
        YamlError { message: message.to_owned(), line, column }
    }
}
