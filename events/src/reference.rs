//! What people read out of a booking: at the counter, on the telephone.

use std::fmt;
use std::str::FromStr;

use crate::ids::Hash;

/// None of them looks or sounds much like another: no 0 with O, 1 with I and
/// L, 2 with Z, 5 with S, 8 with B, U with V. Their number is prime, so that
/// the check letter finds every mistake of one letter and every two that were
/// exchanged.
const LETTERS: &[u8; 23] = b"346789ACEFGHJKMNPQRTWXY";
const RADIX: u64 = LETTERS.len() as u64;
/// Letters without the check letter.
const LENGTH: usize = 6;
/// How many references an opening has: 148,035,889.
const MANY: u64 = RADIX.pow(LENGTH as u32);

/// A booking's reference: six letters and a check letter, e.g. `K7M-4QXA`.
/// Unique in its opening, and no secret: it shows nobody anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BookingReference([u8; LENGTH + 1]);

/// Not a reference as it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// It has another length, or letters that no reference has.
    #[error("expected a booking reference like K7M-4QXA, of the letters 346789ACEFGHJKMNPQRTWXY")]
    Letters,
    /// A letter is wrong, or two were exchanged.
    #[error("the reference has a wrong letter, or two were exchanged: read it again")]
    Check,
}

/// The weighted sum of letters and check letter is zero; the weights differ
/// from each other and from zero.
fn check(digits: &[u64; LENGTH]) -> u64 {
    let sum: u64 = digits.iter().zip(2..).map(|(digit, weight)| digit * weight).sum();
    (RADIX - sum % RADIX) % RADIX
}

impl BookingReference {
    /// The reference of an opening's booking number `n`, from 0. Openings are
    /// told apart by their seed's commitment; `n` and the next do not look
    /// alike, so that a reference does not tell how many there are.
    pub fn nth(opening: &Hash, n: u64) -> Self {
        let part = |from: usize| {
            let bytes = opening.0[from..from + 8].iter();
            bytes.fold(0_u64, |value, byte| value << 8 | u64::from(*byte)) % MANY
        };
        // Prime to the radix: what one number becomes no other becomes.
        let (factor, offset) = (if part(0) % RADIX == 0 { part(0) + 1 } else { part(0) }, part(8));
        let value = (u128::from(n % MANY) * u128::from(factor) + u128::from(offset)) % u128::from(MANY);
        // Less than MANY.
        let mut rest = u64::try_from(value).unwrap_or_default();
        let mut digits = [0; LENGTH];
        for digit in digits.iter_mut().rev() {
            (*digit, rest) = (rest % RADIX, rest / RADIX);
        }
        let mut letters = [0; LENGTH + 1];
        for (letter, digit) in letters.iter_mut().zip(digits.into_iter().chain([check(&digits)])) {
            *letter = LETTERS[digit as usize];
        }
        Self(letters)
    }
}

impl fmt::Display for BookingReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().enumerate().try_for_each(|(at, letter)| {
            if at == 3 { write!(f, "-{}", char::from(*letter)) } else { write!(f, "{}", char::from(*letter)) }
        })
    }
}

impl FromStr for BookingReference {
    type Err = InvalidReference;

    /// As people write it: in small letters too, with `-` and spaces or
    /// without.
    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        let letters = text.bytes().filter(|byte| !matches!(byte, b'-' | b' '));
        let letters: Vec<u8> = letters.map(|byte| byte.to_ascii_uppercase()).take(LENGTH + 2).collect();
        let letters: [u8; LENGTH + 1] = letters.try_into().map_err(|_| InvalidReference::Letters)?;
        let mut digits = [0; LENGTH + 1];
        for (digit, letter) in digits.iter_mut().zip(letters) {
            let place = LETTERS.iter().position(|known| *known == letter);
            *digit = place.ok_or(InvalidReference::Letters)? as u64;
        }
        let [first @ .., last] = digits;
        if check(&first) == last { Ok(Self(letters)) } else { Err(InvalidReference::Check) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const OPENING: Hash = Hash([7; 32]);

    #[test]
    fn an_opening_s_bookings_have_different_references() {
        let references: HashSet<_> = (0..100_000).map(|n| BookingReference::nth(&OPENING, n)).collect();
        assert_eq!(references.len(), 100_000);
        assert_eq!(BookingReference::nth(&OPENING, 0).to_string(), "4K9-MQA4", "an opening's are for good");
    }

    #[test]
    fn a_reference_is_read_as_people_write_it() {
        let reference = BookingReference::nth(&OPENING, 0);
        for text in ["4K9-MQA4", "4k9mqa4", "4K9 MQA 4"] {
            assert_eq!(text.parse(), Ok(reference), "{text}");
        }
        for text in ["", "4K9-MQA", "4K9-MQA4F", "4K9-MQA0", "4K9-MQAÄ", &"G".repeat(1000)] {
            assert_eq!(text.parse::<BookingReference>(), Err(InvalidReference::Letters), "{text}");
        }
    }

    fn anything() -> impl Strategy<Value = (Hash, u64)> {
        (any::<[u8; 32]>().prop_map(Hash), any::<u64>())
    }

    proptest! {
        #[test]
        fn one_wrong_letter_is_noticed((opening, n) in anything(), at in 0..7_usize, by in 1..23_usize) {
            let mut letters = BookingReference::nth(&opening, n).0;
            let place = LETTERS.iter().position(|known| *known == letters[at]).unwrap();
            letters[at] = LETTERS[(place + by) % 23];
            let text = String::from_utf8(letters.to_vec()).unwrap();
            prop_assert_eq!(text.parse::<BookingReference>(), Err(InvalidReference::Check));
        }

        #[test]
        fn two_exchanged_letters_are_noticed((opening, n) in anything(), at in 0..7_usize, with in 0..7_usize) {
            let mut letters = BookingReference::nth(&opening, n).0;
            prop_assume!(letters[at] != letters[with]);
            letters.swap(at, with);
            let text = String::from_utf8(letters.to_vec()).unwrap();
            prop_assert_eq!(text.parse::<BookingReference>(), Err(InvalidReference::Check));
        }
    }
}
