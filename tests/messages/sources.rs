//! Messages as they stand in the sources.
//!
//! The sources are read as tokens: a string is found wherever it stands, and one in a comment, in help or
//! in a test is not.

use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A sentence, or a part of one, that a user can be told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Message {
    /// The source, from the repository's root.
    pub(super) file: String,
    /// The template: `{path} can't be read: {source}`.
    pub(super) text: String,
    /// Whether it is a whole error: `#[error("…")]` on a type.
    pub(super) error: bool,
}

/// Shorter texts are names and labels. An error of one word is one all the same.
const SENTENCE: usize = 3;

/// Every message of the programs, by file, in the order of the text.
pub(super) fn messages(root: &Path) -> Vec<Message> {
    let mut files = Vec::new();
    for folder in ["src", "hooks/src", "cdi/src"] {
        sources(&root.join(folder), &mut files);
    }
    let mut found = Vec::new();
    for file in files {
        let name = file.strip_prefix(root).unwrap().display().to_string();
        let tokens = fs::read_to_string(&file).unwrap().parse::<TokenStream>();
        let mut of_file = Vec::new();
        strings(tokens.expect("a source that compiles has tokens"), false, &mut of_file);
        found.extend(of_file.into_iter().map(|(text, error)| Message {
            file: name.clone(),
            text,
            error,
        }));
    }
    found.sort();
    found.dedup();
    found
}

/// The sources that are shipped.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.file_stem().is_some_and(|name| name == "tests") {
            continue;
        }
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The sentences in `tokens`, each with whether it is an error's.
fn strings(tokens: TokenStream, error: bool, found: &mut Vec<(String, bool)>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token {
            TokenTree::Punct(punct) if punct.as_char() == '#' => {
                if matches!(&tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == '!')
                {
                    at += 1;
                }
                let Some(TokenTree::Group(group)) = tokens.get(at) else { continue };
                if group.delimiter() != Delimiter::Bracket {
                    continue;
                }
                at += 1;
                match attribute(group.stream()) {
                    Attribute::Error(said) => strings(said, true, found),
                    Attribute::Test => at = after_item(&tokens, at),
                    Attribute::Other => {}
                }
            }
            TokenTree::Group(group) => strings(group.stream(), error, found),
            TokenTree::Literal(literal) => {
                // What follows an error's own template belongs to its arguments.
                let whole = error && at == 1;
                if let Some(text) = value(&literal.to_string())
                    && words(&text) >= if whole { 1 } else { SENTENCE }
                {
                    found.push((text, whole));
                }
            }
            _ => {}
        }
    }
}

/// What an attribute is to us.
enum Attribute {
    /// `error(…)`, with what it says.
    Error(TokenStream),
    /// `cfg(test)`.
    Test,
    /// Anything else; help and documentation among it.
    Other,
}

fn attribute(stream: TokenStream) -> Attribute {
    let tokens: Vec<TokenTree> = stream.into_iter().collect();
    match &tokens[..] {
        [TokenTree::Ident(name), TokenTree::Group(said)] if name == "error" => {
            Attribute::Error(said.stream())
        }
        [TokenTree::Ident(name), TokenTree::Group(said)]
            if name == "cfg" && said.stream().to_string() == "test" =>
        {
            Attribute::Test
        }
        _ => Attribute::Other,
    }
}

/// The place after the item that begins at `at`: its body or its semicolon ends it.
fn after_item(tokens: &[TokenTree], at: usize) -> usize {
    let end = tokens[at..].iter().position(|token| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(punct) => punct.as_char() == ';',
        _ => false,
    });
    end.map_or(tokens.len(), |end| at + end + 1)
}

/// The value of a string literal; `None` for bytes, numbers and letters.
fn value(literal: &str) -> Option<String> {
    if let Some(raw) = literal.strip_prefix('r') {
        let raw = raw.trim_matches('#');
        return Some(raw.strip_prefix('"')?.strip_suffix('"')?.to_owned());
    }
    let mut letters = literal.strip_prefix('"')?.strip_suffix('"')?.chars();
    let mut text = String::new();
    while let Some(letter) = letters.next() {
        match (letter, letter == '\\') {
            (_, false) => text.push(letter),
            _ => match letters.next()? {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                // A string goes on where its next line has its first letter.
                '\n' => letters = letters.as_str().trim_start().chars(),
                // No message has letters by number, but for those that don't matter here.
                'u' | 'x' | '0' => text.push('\u{fffd}'),
                other => text.push(other),
            },
        }
    }
    Some(text)
}

/// The fixed parts of a template: what stands between its `{…}`.
pub(super) fn parts(template: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = template.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '{' | '}' if letters.peek() == Some(&letter) => {
                letters.next();
                parts.last_mut().unwrap().push(letter);
            }
            '{' => {
                letters.by_ref().find(|letter| *letter == '}');
                parts.push(String::new());
            }
            _ => parts.last_mut().unwrap().push(letter),
        }
    }
    parts
}

/// How many words of a language a template has itself.
pub(super) fn words(template: &str) -> usize {
    let parts = parts(template);
    let words = parts.iter().flat_map(|part| part.split_whitespace());
    words.filter(|word| word.chars().filter(|letter| letter.is_alphabetic()).count() > 1).count()
}
