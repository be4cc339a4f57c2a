//! Integers, floating-point numbers, strings and enumerations.

use super::super::Result;
use super::attribute::Attribute;
use super::lexer::Token;
use super::parser::Parser;
use super::types::{FloatType, IntegerType, Mapping, Type, TypeKind, TypeRef};
use crate::ltt::Endian;

/// Bits of the coarsest alignment that is believed: a megabyte.
const MAX_ALIGN: u64 = 8 << 20;

/// Alignment in bits of a number that declares none.
fn default_align(size: u8) -> u64 {
    if size.is_multiple_of(8) { 8 } else { 1 }
}

fn checked_align(bits: i128) -> Option<u64> {
    u64::try_from(bits).ok().filter(|bits| bits.is_power_of_two() && *bits <= MAX_ALIGN)
}

fn align(value: Attribute) -> Result<u64, &'static str> {
    value.number().and_then(checked_align).ok_or("an alignment that is a power of two")
}

/// `None` is the byte order of the trace.
fn byte_order(value: Attribute) -> Result<Option<Endian>, &'static str> {
    match value.text().as_deref() {
        Some("le") => Ok(Some(Endian::Little)),
        Some("be" | "network") => Ok(Some(Endian::Big)),
        Some("native") => Ok(None),
        _ => Err("a byte order: le, be, network or native"),
    }
}

fn boolean(value: Attribute) -> Result<bool, &'static str> {
    match value {
        Attribute::Number(number) => Ok(number != 0),
        Attribute::Words(word) if matches!(word.as_str(), "true" | "TRUE") => Ok(true),
        Attribute::Words(word) if matches!(word.as_str(), "false" | "FALSE") => Ok(false),
        _ => Err("true or false"),
    }
}

/// The base a number is printed in.
fn base(value: Attribute) -> Result<u8, &'static str> {
    let expected = "one of the bases 2, 8, 10 and 16";
    match value {
        Attribute::Number(2) => Ok(2),
        Attribute::Number(8) => Ok(8),
        Attribute::Number(10) => Ok(10),
        Attribute::Number(16) => Ok(16),
        Attribute::Words(word) => match word.as_str() {
            "binary" | "b" => Ok(2),
            "octal" | "oct" | "o" => Ok(8),
            "decimal" | "dec" | "d" | "i" | "u" => Ok(10),
            "hexadecimal" | "hex" | "x" | "X" | "p" => Ok(16),
            _ => Err(expected),
        },
        _ => Err(expected),
    }
}

/// Whether bytes of this encoding are characters.
fn encoding(value: Attribute) -> Result<bool, &'static str> {
    match value.text().as_deref() {
        Some("none") => Ok(false),
        Some("UTF8" | "utf8" | "UTF-8" | "utf-8" | "UTF_8" | "ASCII" | "ascii") => Ok(true),
        _ => Err("an encoding: none, UTF8 or ASCII"),
    }
}

impl Parser<'_> {
    /// Checks an alignment in bits.
    pub(super) fn alignment(&self, bits: i128) -> Result<u64> {
        checked_align(bits).ok_or_else(|| self.unexpected("an alignment that is a power of two"))
    }

    /// `integer { … }`
    pub(super) fn integer(&mut self) -> Result<TypeRef> {
        self.advance()?;
        let mut alignment = None;
        let mut integer = IntegerType {
            size: 0,
            align: 1,
            signed: false,
            base: 10,
            text: false,
            byte_order: None,
            clock: false,
        };
        self.attributes(|name, value| {
            match name {
                "size" => {
                    let size = value.number().and_then(|bits| u8::try_from(bits).ok());
                    let size = size.filter(|bits| (1..=64).contains(bits));
                    integer.size = size.ok_or("a size of 1 to 64 bits")?;
                }
                "align" => alignment = Some(align(value)?),
                "signed" => integer.signed = boolean(value)?,
                "base" => integer.base = base(value)?,
                "encoding" => integer.text = encoding(value)?,
                "byte_order" => integer.byte_order = byte_order(value)?,
                "map" => integer.clock = value.text().is_some_and(|path| path.starts_with("clock.")),
                _ => {}
            }
            Ok(())
        })?;
        if integer.size == 0 {
            return Err(self.unexpected("an integer with a size before it"));
        }
        integer.align = alignment.unwrap_or_else(|| default_align(integer.size));
        self.weighed(Type::integer(integer))
    }

    /// `floating_point { … }` with the widths of C's `float` or `double`.
    pub(super) fn float(&mut self) -> Result<TypeRef> {
        self.advance()?;
        let (mut exponent, mut mantissa, mut alignment, mut order) = (0, 0, None, None);
        self.attributes(|name, value| {
            match name {
                "exp_dig" => exponent = value.unsigned().ok_or("a number of digits")?,
                "mant_dig" => mantissa = value.unsigned().ok_or("a number of digits")?,
                "align" => alignment = Some(align(value)?),
                "byte_order" => order = byte_order(value)?,
                _ => {}
            }
            Ok(())
        })?;
        let size = match (exponent, mantissa) {
            (8, 24) => 32,
            (11, 53) => 64,
            _ => return Err(self.unexpected("a number of 32 or 64 bits before it")),
        };
        let float =
            FloatType { size, align: alignment.unwrap_or_else(|| default_align(size)), byte_order: order };
        self.weighed(Type::float(float))
    }

    /// `string` or `string { encoding = …; }`
    pub(super) fn string(&mut self) -> Result<TypeRef> {
        self.advance()?;
        self.attributes(|name, value| {
            if name == "encoding" {
                encoding(value)?;
            }
            Ok(())
        })?;
        self.weighed(Type::string())
    }

    /// `enum name`, `enum name : TYPE { … }` or `enum : TYPE { … }`; the type `int` may be left out.
    pub(super) fn enumeration(&mut self) -> Result<TypeRef> {
        self.advance()?;
        let name = self.optional_name()?;
        let container = if self.eat(b':')? {
            self.deeper()?;
            let container = self.whole_type()?;
            self.shallower();
            Some(container)
        } else {
            None
        };
        if !self.at_mark(b'{') {
            return self.named("enum", name);
        }
        let container = match container {
            Some(container) => container,
            None => self.scopes.find("int").cloned().ok_or_else(|| self.unexpected("a type `int` before"))?,
        };
        let TypeKind::Integer(container) = container.kind else {
            return Err(self.unexpected("an enumeration of integers before it"));
        };
        let mappings = self.mappings()?;
        let kind = self.weighed(Type::enumeration(container, mappings))?;
        self.define("enum", name, &kind);
        Ok(kind)
    }

    /// `{ label, label = value, label = from ... to }`: without a value, one more than the last.
    fn mappings(&mut self) -> Result<Vec<Mapping>> {
        self.expect(b'{', "`{`")?;
        let mut mappings = Vec::new();
        let mut next = 0_i128;
        while !self.eat(b'}')? {
            let label: Box<str> = match self.advance()? {
                Token::Word(word) => word.into(),
                Token::Text(text) => text.into_owned().into(),
                _ => return Err(self.unexpected("a label before it")),
            };
            let (mut from, mut to) = (next, next);
            if self.eat(b'=')? {
                from = self.signed_number()?;
                to = from;
                if self.token == Token::Ellipsis {
                    self.advance()?;
                    to = self.signed_number()?;
                }
            }
            // Values are of 64 bits, so this cannot overflow.
            next = to + 1;
            mappings.push(Mapping { label, from, to });
            if !self.eat(b',')? {
                self.expect(b'}', "`,` or `}` after a label")?;
                break;
            }
        }
        Ok(mappings)
    }
}
