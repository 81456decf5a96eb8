//! Messages that say what they are, so that whoever gets one can tell whether it is what was sent.

use std::hash::Hasher;

/// Length of every message of the demo.
pub(super) const BYTES: usize = 64;

const NUMBER: usize = 0;
const SENDER: usize = 1;
const FILLER: std::ops::Range<usize> = 2..7;
const HASH: usize = 7;

/// One message: number, sender, filler that follows from both, hash over all of that.
pub(super) fn write(sender: u32, number: u64) -> [u8; BYTES] {
    let mut words = [0; BYTES / 8];
    words[NUMBER] = number;
    words[SENDER] = u64::from(sender);
    for (word, salt) in words[FILLER].iter_mut().zip(1..) {
        *word = mix(number ^ u64::from(sender) << 40, salt);
    }
    words[HASH] = hash(&words);
    let mut bytes = [0; BYTES];
    for (chunk, word) in bytes.chunks_exact_mut(8).zip(words) {
        chunk.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// The sender and the number of a message, `None` when it is none that [`write`] wrote.
pub(super) fn read(bytes: &[u8]) -> Option<(u32, u64)> {
    let bytes: &[u8; BYTES] = bytes.try_into().ok()?;
    let mut words = [0; BYTES / 8];
    for (word, chunk) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u64::from_le_bytes(*chunk);
    }
    let sender = u32::try_from(words[SENDER]).ok()?;
    (words[HASH] == hash(&words)).then_some((sender, words[NUMBER]))
}

/// The hasher of the standard library has no key here. It may change from release to release, but both ends of the demo
/// are the same program.
fn hash(words: &[u64; BYTES / 8]) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    words[..HASH].iter().for_each(|word| hasher.write_u64(*word));
    hasher.finish()
}

/// Spreads small differences over all bits (the finaliser of `SplitMix64`).
fn mix(seed: u64, salt: u64) -> u64 {
    let mut word = seed.wrapping_add(salt.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    word = (word ^ word >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    word = (word ^ word >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    word ^ word >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let message = write(3, 1_000_001);
        assert_eq!(read(&message), Some((3, 1_000_001)));
        assert_eq!(read(&message[1..]), None);
        for bit in 0..BYTES * 8 {
            let mut other = message;
            other[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&other), None, "bit {bit}");
        }
    }

    #[test]
    fn messages_differ_in_every_part() {
        let (one, next, other) = (write(1, 1), write(1, 2), write(2, 1));
        for part in [NUMBER, FILLER.start, FILLER.end - 1, HASH].map(|word| word * 8..word * 8 + 8) {
            assert_ne!(one[part.clone()], next[part]);
        }
        assert_ne!(one[FILLER.start * 8..], other[FILLER.start * 8..]);
    }
}
