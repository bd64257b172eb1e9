//! All that one container, or one claim, asks for.

use super::{Request, RequestError};
use crate::document::{self, Wrong};
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::str::FromStr;

/// The most requests of one claim, and the most devices that they may want in all.
pub const MAX_REQUESTS: usize = 64;

/// The longest text of several requests, and the largest document of them, in bytes.
const MAX_BYTES: usize = 64 << 10;

/// The requests of one claim: at least one, at most 64 devices in all.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "cli", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Requests(Vec<Request>);

/// What is wrong with a list of requests.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// There is none.
    #[error("no request is given: name one, as in mig:1g.10gb")]
    Empty,
    /// There are more than one claim may have.
    #[error(
        "a claim has at most {MAX_REQUESTS} requests and {MAX_REQUESTS} devices: prepare several claims"
    )]
    TooMany,
    /// Nobody's list of requests is that long.
    #[error("a list of requests has at most {MAX_BYTES} bytes, this one has {0}")]
    TooLong(usize),
    /// One of them isn't a request.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// Something in the document has no meaning.
    #[error(transparent)]
    Document(#[from] Wrong),
}

impl Requests {
    /// A list of these.
    ///
    /// # Errors
    /// None, or too many.
    pub fn new(requests: Vec<Request>) -> Result<Requests, ListError> {
        let devices: usize = requests.iter().map(|request| request.count().get()).sum();
        match requests.len() {
            0 => Err(ListError::Empty),
            n if n > MAX_REQUESTS || devices > MAX_REQUESTS => Err(ListError::TooMany),
            _ => Ok(Requests(requests)),
        }
    }

    /// Reads one request from each text, as a command line has them.
    ///
    /// # Errors
    /// The first text that is wrong, or a list that is.
    pub fn from_texts<T: AsRef<str>>(
        texts: impl IntoIterator<Item = T>,
    ) -> Result<Requests, ListError> {
        let mut requests = Vec::new();
        for text in texts {
            if requests.len() == MAX_REQUESTS {
                return Err(ListError::TooMany);
            }
            requests.push(text.as_ref().parse()?);
        }
        Requests::new(requests)
    }

    /// Reads a YAML or JSON document that is a list of requests.
    ///
    /// # Errors
    /// What is wrong, with its line and column.
    pub fn from_document(document: &str) -> Result<Requests, ListError> {
        if document.len() > MAX_BYTES {
            return Err(ListError::TooLong(document.len()));
        }
        Ok(document::parse(document)?)
    }

    /// The requests, in their order.
    pub fn iter(&self) -> std::slice::Iter<'_, Request> {
        self.0.iter()
    }

    /// The requests, in their order.
    pub fn into_vec(self) -> Vec<Request> {
        self.0
    }
}

impl<'a> IntoIterator for &'a Requests {
    type Item = &'a Request;
    type IntoIter = std::slice::Iter<'a, Request>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Reads requests with `;` between them, as an annotation has them.
impl FromStr for Requests {
    type Err = ListError;

    fn from_str(text: &str) -> Result<Requests, ListError> {
        if text.len() > MAX_BYTES {
            return Err(ListError::TooLong(text.len()));
        }
        Requests::from_texts(text.split(';'))
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, request) in self.0.iter().enumerate() {
            f.write_str(if n == 0 { "" } else { "; " })?;
            request.fmt(f)?;
        }
        Ok(())
    }
}

impl<'de> Deserialize<'de> for Requests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Requests, D::Error> {
        deserializer.deserialize_seq(ListVisitor)
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = Requests;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of requests")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Requests, A::Error> {
        let mut requests = Vec::new();
        while let Some(request) = list.next_element()? {
            if requests.len() == MAX_REQUESTS {
                return Err(A::Error::custom(ListError::TooMany));
            }
            requests.push(request);
        }
        Requests::new(requests).map_err(A::Error::custom)
    }
}
