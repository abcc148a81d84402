//! A text that many records of a run have in common, such as a query: kept once.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A text whose copies share its memory. Its length stands there too, so that a copy is one pointer.
#[derive(Clone, PartialEq, Eq)]
pub struct CommonText(Arc<String>);

impl CommonText {
    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it has `other`'s memory: the same text for certain.
    pub(super) fn is_shared_with(&self, other: &CommonText) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Takes `other`'s memory when it is the same text.
    pub(super) fn share(&mut self, other: &CommonText) {
        if self == other {
            self.0 = Arc::clone(&other.0);
        }
    }
}

impl Deref for CommonText {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for CommonText {
    fn from(text: &str) -> Self {
        CommonText(Arc::new(text.to_owned()))
    }
}

impl From<String> for CommonText {
    fn from(text: String) -> Self {
        CommonText(Arc::new(text))
    }
}

impl PartialEq<str> for CommonText {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for CommonText {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl PartialEq<CommonText> for &str {
    fn eq(&self, other: &CommonText) -> bool {
        **self == **other
    }
}

impl fmt::Debug for CommonText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(formatter)
    }
}

impl fmt::Display for CommonText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}
