//! The one place that knows the crate `bincode`. It is unmaintained: nothing of it shows in our interface, so that it can be
//! replaced by anything that reads and writes the same bytes.

use super::{
    Codec, CodecError, Decode, Encode,
    guard::{EMPTY_ELEMENTS, Guard},
};
use ::bincode::{
    config,
    enc::write::Writer,
    error::{DecodeError, EncodeError},
    serde::{encode_into_writer, seed_decode_from_slice},
};
use serde::{Deserialize, Serialize};
use std::{cell::Cell, marker::PhantomData};

/// Codec 1: whatever serde can serialize, in the format of bincode 2: compact, little-endian, without field names, and so
/// without versions: both sides must be built with the same type.
///
/// As the format does not describe itself, a type cannot use the attributes `flatten`, `untagged`, `tag` and
/// `skip_serializing_if` of serde. Values may lie 256 deep in one another, and a message may have 65,536 elements in its
/// sequences and maps that take no bytes, like `()`.
#[derive(Clone, Copy, Debug)]
pub enum Bincode {}

impl Codec for Bincode {
    const ID: u8 = 1;
    const NAME: &'static str = "bincode";
}

impl<T: Serialize + ?Sized> Encode<T> for Bincode {
    fn encode(value: &T, body: &mut Vec<u8>) -> Result<(), CodecError> {
        encode_into_writer(value, Append(body), config::standard()).map_err(|error| match error {
            EncodeError::OtherString(what) => CodecError::new(what),
            other => CodecError::new(other),
        })
    }
}

impl<'m, T: Deserialize<'m>> Decode<'m, T> for Bincode {
    fn decode(body: &'m [u8]) -> Result<T, CodecError> {
        let elements = Cell::new(body.len().saturating_add(EMPTY_ELEMENTS));
        match seed_decode_from_slice(Guard::new(PhantomData, &elements), body, config::standard()) {
            Ok((value, length)) if length == body.len() => Ok(value),
            // COD-5
            Ok((_, length)) => {
                Err(CodecError::new(format_args!("the value ends after {length} of {} bytes", body.len())))
            }
            Err(DecodeError::UnexpectedEnd { .. }) => Err(CodecError::new("it ends too early")),
            Err(DecodeError::Utf8 { inner }) => Err(CodecError::new(inner)),
            Err(DecodeError::OtherString(what)) => Err(CodecError::new(what)),
            Err(other) => Err(CodecError::new(other)),
        }
    }
}

struct Append<'a>(&'a mut Vec<u8>);

impl Writer for Append<'_> {
    // Called for each field, and compiled into the crates of others: inlined, a short value takes 15 ns instead of 44.
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lamq_proves::proves;
    use std::collections::{BTreeMap, LinkedList};

    fn encoded<T: Serialize>(value: &T) -> Vec<u8> {
        let mut body = Vec::new();
        Bincode::encode(value, &mut body).unwrap();
        body
    }

    /// Whoever replaces the crate must get these.
    #[test]
    fn the_bytes_of_a_value_are_those_of_the_specification() {
        let value = (250_u8, 251_u16, -1_i32, u64::MAX, "é", Some('a'), vec![true, false], 1.5_f32);
        let bytes =
            [&[250, 251, 251, 0, 1, 253][..], &[255; 8], &[2, 0xC3, 0xA9, 1, b'a', 2, 1, 0], &1.5_f32.to_le_bytes()];
        assert_eq!(encoded(&value), bytes.concat());
        assert_eq!(encoded(&BTreeMap::from([(1_u8, 7_u8), (2, 8)])), [2, 1, 7, 2, 8]);
        assert_eq!(encoded(&Err::<u8, _>(65_536_u32)), [1, 252, 0, 0, 1, 0]);
    }

    type Mixed = (u8, String, Vec<Option<BTreeMap<i64, char>>>, Result<Box<[u128]>, (bool, f64)>);

    fn mixed() -> Mixed {
        let map = BTreeMap::from([(-1, 'x'), (i64::MAX, '√')]);
        (7, "text".into(), vec![None, Some(map), Some(BTreeMap::new())], Ok([0, u128::MAX].into()))
    }

    #[proves("COD-4", "COD-5")]
    #[test]
    fn a_mutilated_value_is_an_error_or_another_value() {
        let whole = encoded(&mixed());
        assert_eq!(<Bincode as Decode<Mixed>>::decode(&whole), Ok(mixed()));
        for length in 0..whole.len() {
            assert!(<Bincode as Decode<Mixed>>::decode(&whole[..length]).is_err(), "{length}");
        }
        for place in 0..whole.len() {
            for byte in 0..=u8::MAX {
                let mut bytes = whole.clone();
                bytes[place] = byte;
                let value = <Bincode as Decode<Mixed>>::decode(&bytes);
                assert_eq!(value == Ok(mixed()), byte == whole[place], "{place}: {byte}");
            }
        }
    }

    #[test]
    fn an_honest_value_is_never_too_long_or_too_deep_to_decode() {
        // A byte each, sixteen in memory.
        let many = vec![3_u128; 300_000];
        assert_eq!(Bincode::decode(&encoded(&many)), Ok(many));
        // Each element of each sequence takes one byte, the length of the next.
        let hollow = vec![vec![Vec::<u8>::new()]; 300_000];
        assert_eq!(Bincode::decode(&encoded(&hollow)), Ok(hollow));
        let nothing = vec![(); 1000];
        assert_eq!(Bincode::decode(&encoded(&nothing)), Ok(nothing));
        let text = "x".repeat(1 << 20);
        assert_eq!(Bincode::decode(&encoded(&text)), Ok(text));
        let deep = Some(Some(Some(Some(Box::new(Some([[[[1_u8; 2]; 2]; 2]; 2]))))));
        assert_eq!(Bincode::decode(&encoded(&deep)), Ok(deep));
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Cached {
        #[serde(skip)]
        cache: [u64; 32],
    }

    fn is_too_many<T: for<'m> Deserialize<'m>>(body: &[u8]) -> bool {
        <Bincode as Decode<T>>::decode(body)
            .is_err_and(|error| error.to_string() == "it has more elements than its length allows")
    }

    /// They take memory, or at least time, and the end of the message does not stop them.
    #[proves("COD-4")]
    #[test]
    fn elements_without_bytes_are_counted() {
        let announce = |elements: usize| [&[252][..], &u32::try_from(elements).unwrap().to_le_bytes()].concat();
        let most = EMPTY_ELEMENTS + announce(0).len();
        assert_eq!(Bincode::decode(&announce(most)), Ok(vec![(); most]));
        for elements in [most + 1, u32::MAX as usize] {
            assert!(is_too_many::<Vec<()>>(&announce(elements)));
            assert!(is_too_many::<LinkedList<Cached>>(&announce(elements)));
            assert!(is_too_many::<BTreeMap<(), Cached>>(&announce(elements)));
        }
        // All sequences of a message together.
        assert!(is_too_many::<Vec<Vec<()>>>(&[&[20][..], &announce(most).repeat(20)].concat()));
        assert!(is_too_many::<(Vec<()>, BTreeMap<(), Cached>)>(&announce(most).repeat(2)));
    }

    #[test]
    fn text_of_wrong_encoding_is_told_in_words() {
        let error = |body: &[u8]| <Bincode as Decode<String>>::decode(body).unwrap_err().to_string();
        assert_eq!(error(&[2, 0xFF, 0]), "invalid utf-8 sequence of 1 bytes from index 0");
        assert_eq!(error(&[2, b'a']), "it ends too early");
        assert_eq!(error(&[2, b'a', b'b', b'c']), "the value ends after 3 of 4 bytes");
    }
}
