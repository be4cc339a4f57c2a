//! Metadata text to tokens.

use std::borrow::Cow;

use super::super::{Error, Result};

/// One token of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// Identifier or keyword.
    Word(&'a str),
    /// Unsigned number; a sign before it is a mark.
    Number(u64),
    /// String without its quotes, escapes replaced; bytes that are no UTF-8 are replaced too.
    Text(Cow<'a, str>),
    /// Any other character that has a meaning.
    Mark(u8),
    /// `:=`
    Assign,
    /// `...`
    Ellipsis,
    /// End of the text.
    End,
}

impl Token<'_> {
    /// For messages.
    pub(super) fn describe(&self) -> String {
        match self {
            Token::Word(word) => format!("`{word}`"),
            Token::Number(number) => format!("{number}"),
            Token::Text(text) => format!("{text:?}"),
            Token::Mark(mark) => format!("`{}`", char::from(*mark).escape_default()),
            Token::Assign => "`:=`".into(),
            Token::Ellipsis => "`...`".into(),
            Token::End => "the end of the text".into(),
        }
    }
}

/// Cursor over the tokens of a text.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    at: usize,
    line: u32,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8]) -> Lexer<'a> {
        Lexer { text, at: 0, line: 1 }
    }

    /// Line of the end of the last token, from 1.
    pub(super) fn line(&self) -> u32 {
        self.line
    }

    /// The next token; `End` for ever at the end.
    pub(super) fn next(&mut self) -> Result<Token<'a>> {
        self.skip_blanks()?;
        let rest = self.text.get(self.at..).unwrap_or_default();
        let Some(&first) = rest.first() else { return Ok(Token::End) };
        if first.is_ascii_alphabetic() || first == b'_' {
            return Ok(Token::Word(
                self.take_while(rest, |byte| byte.is_ascii_alphanumeric() || byte == b'_'),
            ));
        }
        if first.is_ascii_digit() {
            let digits = self.take_while(rest, |byte| byte.is_ascii_alphanumeric());
            return number(digits).map(Token::Number).ok_or_else(|| self.error("a 64-bit number", digits));
        }
        if first == b'"' {
            return self.string();
        }
        let (token, len) = match rest {
            [b':', b'=', ..] => (Token::Assign, 2),
            [b'.', b'.', b'.', ..] => (Token::Ellipsis, 3),
            _ => (Token::Mark(first), 1),
        };
        self.at += len;
        Ok(token)
    }

    fn error(&self, expected: &'static str, found: &str) -> Error {
        Error::Tsdl { line: self.line, expected, found: found.into() }
    }

    fn take_while(&mut self, rest: &'a [u8], belongs: impl Fn(u8) -> bool) -> &'a str {
        let len = rest.iter().position(|&byte| !belongs(byte)).unwrap_or(rest.len());
        self.at += len;
        // Only ASCII was taken.
        rest.get(..len).and_then(|word| std::str::from_utf8(word).ok()).unwrap_or_default()
    }

    fn skip_blanks(&mut self) -> Result<()> {
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let len = match rest {
                [b'/', b'*', body @ ..] => {
                    let end = body.windows(2).position(|pair| pair == b"*/");
                    4 + end.ok_or_else(|| self.error("the end of a comment", "the end of the text"))?
                }
                [b'/', b'/', ..] => rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len()),
                [byte, ..] if byte.is_ascii_whitespace() || *byte == 0x0b => 1,
                _ => return Ok(()),
            };
            self.count_lines(rest.get(..len).unwrap_or_default());
            self.at += len;
        }
    }

    fn count_lines(&mut self, text: &[u8]) {
        for _ in text.iter().filter(|&&byte| byte == b'\n') {
            self.line = self.line.saturating_add(1);
        }
    }

    fn string(&mut self) -> Result<Token<'a>> {
        let body = self.text.get(self.at + 1..).unwrap_or_default();
        let mut escaped = false;
        let end = body.iter().position(|&byte| {
            let ends = byte == b'"' && !escaped;
            escaped = byte == b'\\' && !escaped;
            ends
        });
        let raw = end
            .and_then(|end| body.get(..end))
            .ok_or_else(|| self.error("the end of a string", "the end of the text"))?;
        self.count_lines(raw);
        self.at += raw.len() + 2;
        if raw.contains(&b'\\') {
            return Ok(Token::Text(String::from_utf8_lossy(&unescape(raw)).into_owned().into()));
        }
        Ok(Token::Text(String::from_utf8_lossy(raw)))
    }
}

/// Decimal, octal with a leading 0, or hexadecimal, perhaps with C's suffixes.
fn number(digits: &str) -> Option<u64> {
    let digits = digits.trim_end_matches(['u', 'U', 'l', 'L']);
    let (digits, radix) = match digits.strip_prefix('0') {
        None | Some("") => (digits, 10),
        Some(octal) => match octal.strip_prefix(['x', 'X']) {
            Some(hexadecimal) => (hexadecimal, 16),
            None => (octal, 8),
        },
    };
    u64::from_str_radix(digits, radix).ok()
}

/// Replaces C's escapes.
fn unescape(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let [first, after @ ..] = rest {
        rest = after;
        let (b'\\', [code, after @ ..]) = (*first, after) else {
            out.push(*first);
            continue;
        };
        rest = after;
        let digits = |rest: &[u8], radix, most| {
            rest.iter().take(most).take_while(|&&byte| char::from(byte).is_digit(radix)).count()
        };
        let value = |digits: &[u8], radix| {
            let text = std::str::from_utf8(digits).unwrap_or_default();
            u32::from_str_radix(text, radix).unwrap_or(0).to_le_bytes()[0]
        };
        match code {
            b'x' => {
                let (code, after) = rest.split_at(digits(rest, 16, 2));
                out.push(value(code, 16));
                rest = after;
            }
            b'0'..=b'7' => {
                let more = digits(rest, 8, 2);
                let start = raw.len() - rest.len() - 1;
                out.push(value(raw.get(start..start + 1 + more).unwrap_or_default(), 8));
                rest = rest.get(more..).unwrap_or_default();
            }
            b'a' => out.push(7),
            b'b' => out.push(8),
            b't' => out.push(b'\t'),
            b'n' => out.push(b'\n'),
            b'v' => out.push(11),
            b'f' => out.push(12),
            b'r' => out.push(b'\r'),
            other => out.push(*other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<Token<'_>> {
        let mut lexer = Lexer::new(text.as_bytes());
        std::iter::from_fn(|| lexer.next().ok().filter(|token| *token != Token::End)).collect()
    }

    #[test]
    fn words_numbers_marks_and_comments() {
        use Token::{Assign, Ellipsis, Mark, Number, Word};
        let text = "/* CTF 1.8 */ a_1 := 0x1F ... 010; // rest\n0 18446744073709551615ULL.-";
        let expected = [
            Word("a_1"),
            Assign,
            Number(31),
            Ellipsis,
            Number(8),
            Mark(b';'),
            Number(0),
            Number(u64::MAX),
            Mark(b'.'),
            Mark(b'-'),
        ];
        assert_eq!(tokens(text), expected);
    }

    #[test]
    fn strings() {
        let text = r#""plain" "a\"b\\" "\x41\101\n\7z""#;
        let expected = ["plain", "a\"b\\", "AA\n\u{7}z"].map(|text| Token::Text(text.into()));
        assert_eq!(tokens(text), expected);
    }

    #[test]
    fn what_never_ends_is_an_error_with_its_line() {
        let line = |text: &str| {
            let mut lexer = Lexer::new(text.as_bytes());
            loop {
                match lexer.next() {
                    Ok(Token::End) => return None,
                    Ok(_) => {}
                    Err(error) => return Some(error.to_string()),
                }
            }
        };
        let text = "a\n\"b";
        assert_eq!(
            line(text).unwrap(),
            "metadata line 2: expected the end of a string, found the end of the text"
        );
        assert_eq!(
            line("/*").unwrap(),
            "metadata line 1: expected the end of a comment, found the end of the text"
        );
        assert_eq!(line("1a2").unwrap(), "metadata line 1: expected a 64-bit number, found 1a2");
    }
}
