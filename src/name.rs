//! Names of queues.

use std::{fmt, str::FromStr};

/// The name of a queue in the kernel, such as `/orders` (POS-1, `mq_overview(7)`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueName(String);

impl QueueName {
    /// Checks a name: a slash and 1 to 254 further bytes, none of them a slash or NUL.
    ///
    /// # Errors
    /// [`InvalidName`], which says what is wrong and what to write instead.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidName> {
        let name = name.into();
        let invalid = |problem| Err(InvalidName { name: name.clone(), problem });
        let Some(rest) = name.strip_prefix('/') else { return invalid(NameProblem::NoSlash) };
        match rest {
            "" => invalid(NameProblem::Empty),
            "." | ".." => invalid(NameProblem::Dots),
            _ if rest.contains('/') => invalid(NameProblem::InnerSlash),
            _ if rest.contains('\0') => invalid(NameProblem::Nul),
            _ if rest.len() > Self::MAX => invalid(NameProblem::TooLong(rest.len())),
            _ => Ok(Self(name)),
        }
    }

    /// The name with its slash.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Most bytes behind the slash.
    pub const MAX: usize = 254;
}

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for QueueName {
    type Err = InvalidName;
    fn from_str(name: &str) -> Result<Self, InvalidName> {
        Self::new(name)
    }
}

impl TryFrom<&str> for QueueName {
    type Error = InvalidName;
    fn try_from(name: &str) -> Result<Self, InvalidName> {
        Self::new(name)
    }
}

impl TryFrom<String> for QueueName {
    type Error = InvalidName;
    fn try_from(name: String) -> Result<Self, InvalidName> {
        Self::new(name)
    }
}

impl TryFrom<&Self> for QueueName {
    type Error = InvalidName;
    fn try_from(name: &Self) -> Result<Self, InvalidName> {
        Ok(name.clone())
    }
}

/// What cannot be the name of a queue, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is not a queue name: {problem}; write it like /orders")]
pub struct InvalidName {
    name: String,
    problem: NameProblem,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum NameProblem {
    #[error("it does not begin with a slash")]
    NoSlash,
    #[error("nothing follows the slash")]
    Empty,
    #[error("it has a second slash")]
    InnerSlash,
    #[error("it has a NUL byte")]
    Nul,
    #[error("dots alone are no name")]
    Dots,
    #[error("{0} bytes follow the slash, the limit is {max}", max = QueueName::MAX)]
    TooLong(usize),
}

#[cfg(test)]
mod tests {
    use super::*;
    use lamq_proves::proves;

    #[proves("POS-1")]
    #[test]
    fn a_name_is_a_slash_and_up_to_254_bytes_without_slash_or_nul() {
        for good in ["/a", "/orders", "/...", "/ü b"] {
            assert_eq!(QueueName::new(good).unwrap().as_str(), good);
        }
        assert!(QueueName::new(format!("/{}", "x".repeat(254))).is_ok());
        for (bad, why) in [
            ("orders", "begin with a slash"),
            ("", "begin with a slash"),
            ("/", "nothing follows"),
            ("/a/b", "second slash"),
            ("/a\0b", "NUL"),
            ("/.", "dots"),
            ("/..", "dots"),
        ] {
            let error = QueueName::new(bad).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("/orders"), "{bad:?}: {error}");
        }
        let error = QueueName::new(format!("/{}", "x".repeat(255))).unwrap_err().to_string();
        assert!(error.contains("255") && error.contains("254"), "{error}");
    }
}
