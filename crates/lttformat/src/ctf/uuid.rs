//! The identity of a trace.

use std::fmt;

/// A trace's uuid: the same 16 bytes in every packet of all its files, and as text in the metadata.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// Reads 32 hexadecimal digits, dashes between them ignored.
    pub fn parse(text: &str) -> Option<Uuid> {
        let mut digits = text.chars().filter(|&char| char != '-').map(|char| char.to_digit(16));
        let mut bytes = [0; 16];
        for byte in &mut bytes {
            let (high, low) = (digits.next()??, digits.next()??);
            *byte = u8::try_from(high << 4 | low).ok()?;
        }
        digits.next().is_none().then_some(Uuid(bytes))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let text = "1deaaa83-677d-f447-838c-7c8aad0abe82";
        let uuid = Uuid::parse(text).unwrap();
        assert_eq!(uuid.0[..5], [0x1d, 0xea, 0xaa, 0x83, 0x67]);
        assert_eq!(uuid.to_string(), text);
        assert_eq!(Uuid::parse("1deaaa83"), None);
        assert_eq!(Uuid::parse(&format!("{text}0")), None);
        assert_eq!(Uuid::parse("gdeaaa83-677d-f447-838c-7c8aad0abe82"), None);
    }
}
