//! `name = value;` in blocks and in the braces of scalar types.

use super::super::Result;
use super::lexer::Token;
use super::parser::Parser;

/// The right-hand side of an attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Attribute {
    Number(i128),
    Text(String),
    /// Unquoted names, joined by points again.
    Words(String),
}

impl Attribute {
    /// The text of a string, or unquoted names: old tracers left the quotes out.
    pub(super) fn text(self) -> Option<String> {
        match self {
            Attribute::Text(text) | Attribute::Words(text) => Some(text),
            Attribute::Number(_) => None,
        }
    }

    pub(super) fn number(self) -> Option<i128> {
        match self {
            Attribute::Number(number) => Some(number),
            Attribute::Text(_) | Attribute::Words(_) => None,
        }
    }

    pub(super) fn unsigned(self) -> Option<u64> {
        self.number().and_then(|number| u64::try_from(number).ok())
    }
}

impl Parser<'_> {
    /// The value after an `=`, which is taken too.
    pub(super) fn attribute_value(&mut self) -> Result<Attribute> {
        self.expect(b'=', "`=` after the name of an attribute")?;
        match &mut self.token {
            Token::Text(text) => {
                let text = std::mem::take(text).into_owned();
                self.advance()?;
                Ok(Attribute::Text(text))
            }
            Token::Word(_) => Ok(Attribute::Words(self.path()?.join("."))),
            _ => Ok(Attribute::Number(self.signed_number()?)),
        }
    }

    /// `{ name = value; … }`, each given to `set`, which says what it expects of a value that makes no sense. Nothing if
    /// there is no brace.
    pub(super) fn attributes(
        &mut self,
        mut set: impl FnMut(&str, Attribute) -> Result<(), &'static str>,
    ) -> Result<()> {
        if !self.eat(b'{')? {
            return Ok(());
        }
        while !self.eat(b'}')? {
            let name = self.word("the name of an attribute")?;
            let value = self.attribute_value()?;
            set(name, value).map_err(|expected| self.unexpected(expected))?;
            self.expect(b';', "`;` after an attribute")?;
        }
        Ok(())
    }
}
