//! Codecs: how the values of [typed](crate::typed) channels become bytes, and values again (SPEC.md, section 19).

use std::fmt;

mod bincode;
mod guard;

pub use self::bincode::Bincode;

/// A way to encode values. What it can encode and decode, it says by implementing [`Encode`] and [`Decode`].
///
/// # Examples
/// One of your own, for one type; most are generic.
/// ```
/// use lamq::{Receiver, Sender, codec::{Codec, CodecError, Decode, Encode}, link::Memory};
///
/// struct Decimal;
///
/// impl Codec for Decimal {
///     const ID: u8 = 128;
///     const NAME: &'static str = "decimal";
/// }
///
/// impl Encode<u64> for Decimal {
///     fn encode(value: &u64, body: &mut Vec<u8>) -> Result<(), CodecError> {
///         body.extend_from_slice(value.to_string().as_bytes());
///         Ok(())
///     }
/// }
///
/// impl Decode<'_, u64> for Decimal {
///     fn decode(body: &[u8]) -> Result<u64, CodecError> {
///         str::from_utf8(body).map_err(CodecError::new)?.parse().map_err(CodecError::new)
///     }
/// }
///
/// let space = Memory::new();
/// let receiver = Receiver::builder().link(space.clone()).typed::<u64>().codec::<Decimal>().bind("/numbers")?;
/// let sender = Sender::builder().link(space).typed::<u64>().codec::<Decimal>().connect("/numbers")?;
/// sender.send(42)?;
/// assert_eq!(receiver.recv()?.decode()?, 42);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
/// The ids below 128 are taken:
/// ```compile_fail,E0080
/// # use lamq::{Sender, codec::Codec};
/// struct Impostor;
///
/// impl Codec for Impostor {
///     const ID: u8 = 1;
///     const NAME: &'static str = "mine";
/// }
///
/// Sender::builder().typed::<u64>().codec::<Impostor>().connect("/numbers");
/// ```
pub trait Codec {
    /// What both sides compare when they meet (GRT-2): for one of your own 128 to 255, else it does not compile (COD-1).
    const ID: u8;

    /// What it is called in errors.
    const NAME: &'static str;
}

/// A codec that can encode a `T`.
pub trait Encode<T: ?Sized>: Codec {
    /// Appends the encoded value to `body`.
    ///
    /// # Errors
    /// [`CodecError`]: this value has no encoding. What was appended does not matter then.
    fn encode(value: &T, body: &mut Vec<u8>) -> Result<(), CodecError>;
}

/// A codec that can decode a `T`, which may borrow from the message.
pub trait Decode<'m, T>: Codec {
    /// Decodes the whole of `body`, which may be anything at all: it must not panic, nor allocate what a number in it asks for.
    ///
    /// # Errors
    /// [`CodecError`]: this is no encoded `T`, or more than one (COD-5).
    fn decode(body: &'m [u8]) -> Result<T, CodecError>;
}

/// What a codec has to say of a value or a message that it cannot handle.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CodecError(String);

impl CodecError {
    /// With what is wrong, in words: most often the error of an underlying library.
    pub fn new(what: impl fmt::Display) -> Self {
        Self(what.to_string())
    }
}

impl fmt::Debug for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A codec in an error: its id, and its name as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct CodecId {
    /// What stands on the wire.
    pub id: u8,
    /// What it is called.
    pub name: &'static str,
}

impl CodecId {
    /// That of untyped channels.
    pub(crate) const RAW: Self = Self { id: lamq_protocol::endpoint::CODEC_RAW, name: "raw bytes" };

    /// That of a codec which the program names.
    pub(crate) const fn of<C: Codec>() -> Self {
        let own = Self { id: C::ID, name: C::NAME };
        const { assert!(may_have(C::NAME, C::ID), "the id of a codec of your own is 128 to 255") };
        own
    }

    /// That of the other side, which tells no name.
    pub(crate) const fn of_wire(id: u8) -> Self {
        match id {
            0 => Self::RAW,
            Bincode::ID => Self { id, name: Bincode::NAME },
            FIRST_FREE.. => Self { id, name: "an application's own" },
            _ => Self { id, name: "not known to this version" },
        }
    }
}

impl fmt::Display for CodecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.id, self.name)
    }
}

/// The ids from here on are for applications.
const FIRST_FREE: u8 = 128;

/// COD-1
const fn may_have(name: &str, id: u8) -> bool {
    id >= FIRST_FREE || (id == Bincode::ID && is_same(name.as_bytes(), Bincode::NAME.as_bytes()))
}

/// `==` is not `const` yet.
const fn is_same(left: &[u8], right: &[u8]) -> bool {
    match (left, right) {
        ([], []) => true,
        ([left, left_rest @ ..], [right, right_rest @ ..]) => *left == *right && is_same(left_rest, right_rest),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lamq_proves::proves;

    #[proves("COD-1")]
    #[test]
    fn the_ids_below_128_are_not_for_applications() {
        for id in 0..=u8::MAX {
            assert_eq!(may_have("mine", id), id >= 128, "{id}");
        }
        assert!(may_have("bincode", 1) && !may_have("bincode", 0) && !may_have("bincod", 1));
    }

    #[test]
    fn every_codec_of_the_wire_has_a_name() {
        let names = [0, 1, 2, 127, 128, 255].map(|id| CodecId::of_wire(id).to_string());
        let known =
            ["0 (raw bytes)", "1 (bincode)", "2 (not known to this version)", "127 (not known to this version)"];
        let own = ["128 (an application's own)", "255 (an application's own)"];
        assert_eq!(names, [&known[..], &own].concat()[..]);
    }
}
