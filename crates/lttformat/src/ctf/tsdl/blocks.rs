//! The blocks of a metadata text: `trace`, `env`, `clock`, `stream`, `event`.

use super::super::uuid::Uuid;
use super::super::{Clock, EnvValue, Result};
use super::attribute::Attribute;
use super::lexer::Token;
use super::parser::Parser;
use super::types::TypeRef;
use crate::ltt::Endian;

/// All that a text declares, types not yet resolved.
#[derive(Debug, Default)]
pub(in super::super) struct Declarations {
    pub(in super::super) version: Option<(u64, u64)>,
    pub(in super::super) uuid: Option<Uuid>,
    pub(in super::super) byte_order: Option<Endian>,
    pub(in super::super) packet_header: Option<TypeRef>,
    pub(in super::super) env: Vec<(String, EnvValue)>,
    pub(in super::super) clocks: Vec<Clock>,
    pub(in super::super) streams: Vec<StreamDeclaration>,
    pub(in super::super) events: Vec<EventDeclaration>,
}

#[derive(Debug, Default)]
pub(in super::super) struct StreamDeclaration {
    pub(in super::super) id: u64,
    pub(in super::super) packet_context: Option<TypeRef>,
    pub(in super::super) event_header: Option<TypeRef>,
    pub(in super::super) event_context: Option<TypeRef>,
}

#[derive(Debug, Default)]
pub(in super::super) struct EventDeclaration {
    pub(in super::super) id: u64,
    pub(in super::super) stream_id: u64,
    pub(in super::super) name: String,
    pub(in super::super) loglevel: Option<i64>,
    pub(in super::super) context: Option<TypeRef>,
    pub(in super::super) fields: Option<TypeRef>,
}

/// What a block sets, and what to.
enum Setting {
    Value(Attribute),
    Type(TypeRef),
}

impl Setting {
    fn text(self) -> Result<String, &'static str> {
        match self {
            Setting::Value(value) => value.text().ok_or("a string"),
            Setting::Type(_) => Err("a string"),
        }
    }

    fn unsigned(self) -> Result<u64, &'static str> {
        match self {
            Setting::Value(value) => value.unsigned().ok_or("a number that is not negative"),
            Setting::Type(_) => Err("a number"),
        }
    }

    fn signed(self) -> Result<i64, &'static str> {
        match self {
            Setting::Value(value) => {
                value.number().and_then(|number| i64::try_from(number).ok()).ok_or("a number of 64 bits")
            }
            Setting::Type(_) => Err("a number"),
        }
    }

    fn kind(self) -> Result<Option<TypeRef>, &'static str> {
        match self {
            Setting::Type(kind) => Ok(Some(kind)),
            Setting::Value(_) => Err("`:=` and a type"),
        }
    }
}

impl Declarations {
    /// Reads a whole text. Cost: linear in its length.
    pub(in super::super) fn parse(text: &[u8]) -> Result<Declarations> {
        let mut parser = Parser::new(text)?;
        let mut declared = Declarations::default();
        loop {
            match parser.token {
                Token::End => return Ok(declared),
                Token::Word("trace") => declared.trace(&mut parser)?,
                Token::Word("env") => declared.environment(&mut parser)?,
                Token::Word("clock") => declared.clock(&mut parser)?,
                Token::Word("stream") => declared.stream(&mut parser)?,
                Token::Word("event") => declared.event(&mut parser)?,
                Token::Word("callsite") => block(&mut parser, |_, _| Ok(()))?,
                Token::Mark(b';') => {
                    parser.advance()?;
                }
                _ if parser.at_definition() => parser.definition()?,
                _ => return Err(parser.unexpected("a block or the definition of a type")),
            }
        }
    }

    fn trace(&mut self, parser: &mut Parser<'_>) -> Result<()> {
        let (mut major, mut minor) = (1, 8);
        block(parser, |name, setting| {
            match name {
                "major" => major = setting.unsigned()?,
                "minor" => minor = setting.unsigned()?,
                "uuid" => self.uuid = Some(Uuid::parse(&setting.text()?).ok_or("a uuid")?),
                "byte_order" => {
                    self.byte_order = match setting.text()?.as_str() {
                        "le" => Some(Endian::Little),
                        "be" | "network" => Some(Endian::Big),
                        _ => return Err("a byte order: le or be"),
                    }
                }
                "packet.header" => self.packet_header = setting.kind()?,
                _ => {}
            }
            Ok(())
        })?;
        self.version = Some((major, minor));
        Ok(())
    }

    fn environment(&mut self, parser: &mut Parser<'_>) -> Result<()> {
        block(parser, |name, setting| {
            let value = match setting {
                Setting::Value(Attribute::Number(number)) => {
                    EnvValue::Number(i64::try_from(number).map_err(|_| "a number of 64 bits")?)
                }
                other => EnvValue::Text(other.text()?),
            };
            self.env.push((name.to_owned(), value));
            Ok(())
        })
    }

    fn clock(&mut self, parser: &mut Parser<'_>) -> Result<()> {
        let mut clock = Clock::default();
        block(parser, |name, setting| {
            match name {
                "name" => clock.name = setting.text()?,
                "uuid" => clock.uuid = Some(setting.text()?),
                "description" => clock.description = Some(setting.text()?),
                "freq" => clock.freq = setting.unsigned()?,
                "offset_s" => clock.offset_s = setting.signed()?,
                "offset" => clock.offset = setting.signed()?,
                _ => {}
            }
            Ok(())
        })?;
        self.clocks.push(clock);
        Ok(())
    }

    fn stream(&mut self, parser: &mut Parser<'_>) -> Result<()> {
        let mut stream = StreamDeclaration::default();
        block(parser, |name, setting| {
            match name {
                "id" => stream.id = setting.unsigned()?,
                "packet.context" => stream.packet_context = setting.kind()?,
                "event.header" => stream.event_header = setting.kind()?,
                "event.context" => stream.event_context = setting.kind()?,
                _ => {}
            }
            Ok(())
        })?;
        self.streams.push(stream);
        Ok(())
    }

    fn event(&mut self, parser: &mut Parser<'_>) -> Result<()> {
        let mut event = EventDeclaration::default();
        block(parser, |name, setting| {
            match name {
                "name" => event.name = setting.text()?,
                "id" => event.id = setting.unsigned()?,
                "stream_id" => event.stream_id = setting.unsigned()?,
                "loglevel" => event.loglevel = Some(setting.signed()?),
                "context" => event.context = setting.kind()?,
                "fields" => event.fields = setting.kind()?,
                _ => {}
            }
            Ok(())
        })?;
        self.events.push(event);
        Ok(())
    }
}

/// `keyword { name = value; name := type; definitions };`, each setting given to `set`.
fn block(
    parser: &mut Parser<'_>,
    mut set: impl FnMut(&str, Setting) -> Result<(), &'static str>,
) -> Result<()> {
    parser.advance()?;
    parser.expect(b'{', "`{` after the name of a block")?;
    parser.scopes.enter();
    while !parser.eat(b'}')? {
        if parser.at_definition() {
            parser.definition()?;
            continue;
        }
        let name = parser.path()?.join(".");
        let setting = if parser.token == Token::Assign {
            parser.advance()?;
            Setting::Type(parser.whole_type()?)
        } else {
            Setting::Value(parser.attribute_value()?)
        };
        set(&name, setting).map_err(|expected| parser.unexpected(expected))?;
        parser.expect(b';', "`;` after a setting")?;
    }
    parser.scopes.leave();
    parser.expect(b';', "`;` after a block")
}
