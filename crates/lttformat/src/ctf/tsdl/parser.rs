//! The grammar of types and declarations.

use std::sync::Arc;

use super::super::{Error, Result};
use super::lexer::{Lexer, Token};
use super::scope::Scopes;
use super::types::{LengthType, MemberType, Path, Type, TypeRef};
use super::weight::MAX_DEPTH;

/// Reads declarations from a text. Blocks (`trace`, `event` …) are the business of [`blocks`](super::blocks).
#[derive(Debug)]
pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The token at the cursor.
    pub(super) token: Token<'a>,
    pub(super) scopes: Scopes,
    depth: u32,
}

/// What a declaration begins with, and its name when the words of an alias and the name are not told apart by grammar.
struct Specifier<'a> {
    kind: Option<TypeRef>,
    name: Option<&'a str>,
}

/// Whether the last word after an alias is the name of what is declared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Words {
    TypeOnly,
    TypeAndName,
}

const TYPE_WORDS: [&str; 6] = ["integer", "floating_point", "string", "struct", "variant", "enum"];

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a [u8]) -> Result<Parser<'a>> {
        let mut lexer = Lexer::new(text);
        let token = lexer.next()?;
        Ok(Parser { lexer, token, scopes: Scopes::new(), depth: 0 })
    }

    /// Takes the token at the cursor.
    pub(super) fn advance(&mut self) -> Result<Token<'a>> {
        let next = self.lexer.next()?;
        Ok(std::mem::replace(&mut self.token, next))
    }

    /// An error at the cursor.
    pub(super) fn unexpected(&self, expected: &'static str) -> Error {
        Error::Tsdl { line: self.lexer.line(), expected, found: self.token.describe() }
    }

    pub(super) fn too_big(&self, what: &'static str) -> Error {
        Error::TooBig { line: self.lexer.line(), what }
    }

    pub(super) fn at_mark(&self, mark: u8) -> bool {
        self.token == Token::Mark(mark)
    }

    pub(super) fn at_word(&self, word: &str) -> bool {
        self.token == Token::Word(word)
    }

    /// Takes the mark if it is at the cursor.
    pub(super) fn eat(&mut self, mark: u8) -> Result<bool> {
        let there = self.at_mark(mark);
        if there {
            self.advance()?;
        }
        Ok(there)
    }

    pub(super) fn expect(&mut self, mark: u8, expected: &'static str) -> Result<()> {
        if self.eat(mark)? { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    /// Takes the word at the cursor.
    pub(super) fn word(&mut self, expected: &'static str) -> Result<&'a str> {
        let Token::Word(word) = self.token else { return Err(self.unexpected(expected)) };
        self.advance()?;
        Ok(word)
    }

    /// Names joined by points.
    pub(super) fn path(&mut self) -> Result<Path> {
        let mut path = vec![self.word("a name")?.into()];
        while self.eat(b'.')? {
            path.push(self.word("a name after the point")?.into());
        }
        Ok(path)
    }

    /// An integer with or without a sign.
    pub(super) fn signed_number(&mut self) -> Result<i128> {
        let negative = self.eat(b'-')?;
        if !negative {
            self.eat(b'+')?;
        }
        let Token::Number(number) = self.token else { return Err(self.unexpected("a number")) };
        self.advance()?;
        Ok(if negative { -i128::from(number) } else { i128::from(number) })
    }

    /// Whether a definition of types begins at the cursor that may stand in any block.
    pub(super) fn at_definition(&self) -> bool {
        matches!(self.token, Token::Word("typealias" | "typedef" | "struct" | "variant" | "enum"))
    }

    /// Takes a definition of types, with its semicolon.
    pub(super) fn definition(&mut self) -> Result<()> {
        if self.at_word("typealias") {
            return self.typealias();
        }
        if self.at_word("typedef") {
            self.advance()?;
            let declared = self.declarators()?;
            for MemberType { name, kind, .. } in declared {
                self.scopes.define(name.as_ref().to_owned(), kind);
            }
            return Ok(());
        }
        self.whole_type()?;
        self.expect(b';', "`;` after the definition of a type")
    }

    /// A type without a name after it.
    pub(super) fn whole_type(&mut self) -> Result<TypeRef> {
        let kind = self.specifier(Words::TypeOnly)?.kind;
        kind.ok_or_else(|| self.unexpected("the definition of a type"))
    }

    /// `typealias TYPE := WORDS;`
    fn typealias(&mut self) -> Result<()> {
        self.advance()?;
        let kind = self.whole_type()?;
        if self.token != Token::Assign {
            return Err(self.unexpected("`:=` after the type of an alias"));
        }
        self.advance()?;
        let mut name = self.word("the name of an alias")?.to_owned();
        while let Token::Word(word) = self.token {
            name.push(' ');
            name.push_str(word);
            self.advance()?;
        }
        self.scopes.define(name, kind);
        self.expect(b';', "`;` after an alias")
    }

    /// `{ declarations }`, the members of a structure or the options of a variant.
    fn members(&mut self) -> Result<Vec<MemberType>> {
        self.expect(b'{', "`{`")?;
        self.deeper()?;
        self.scopes.enter();
        let mut members = Vec::new();
        while !self.eat(b'}')? {
            if self.at_word("typealias") || self.at_word("typedef") {
                self.definition()?;
            } else {
                members.append(&mut self.declarators()?);
            }
        }
        self.scopes.leave();
        self.shallower();
        Ok(members)
    }

    pub(super) fn deeper(&mut self) -> Result<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.too_big("deeper nesting than any tracer's"));
        }
        Ok(())
    }

    pub(super) fn shallower(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    /// `TYPE name[length]…, name …;`, or a mere definition that declares nothing.
    fn declarators(&mut self) -> Result<Vec<MemberType>> {
        let Specifier { kind, name } = self.specifier(Words::TypeAndName)?;
        let Some(kind) = kind else { return Err(self.unexpected("a declaration")) };
        let mut declared = Vec::new();
        if name.is_none() && self.eat(b';')? {
            return Ok(declared);
        }
        let mut name = name;
        loop {
            let this = match name.take() {
                Some(name) => name,
                None => self.word("the name of a field")?,
            };
            declared.push(MemberType::new(this, self.dimensions(kind.clone())?));
            if self.eat(b',')? {
                continue;
            }
            self.expect(b';', "`;` after a declaration")?;
            return Ok(declared);
        }
    }

    /// `[length]…` after a name: the first length is the outermost array's.
    fn dimensions(&mut self, element: TypeRef) -> Result<TypeRef> {
        let mut lengths = Vec::new();
        while self.eat(b'[')? {
            lengths.push(match self.token {
                Token::Number(length) => {
                    self.advance()?;
                    LengthType::Static(length)
                }
                _ => LengthType::Field(self.path()?),
            });
            self.expect(b']', "`]` after a length")?;
        }
        lengths
            .into_iter()
            .rev()
            .try_fold(element, |element, length| self.weighed(Type::array(element, length)))
    }

    /// The type at the cursor.
    fn specifier(&mut self, words: Words) -> Result<Specifier<'a>> {
        while self.at_word("const") {
            self.advance()?;
        }
        let kind = match self.token {
            Token::Word("integer") => self.integer()?,
            Token::Word("floating_point") => self.float()?,
            Token::Word("string") => self.string()?,
            Token::Word("struct") => self.structure()?,
            Token::Word("variant") => self.variant()?,
            Token::Word("enum") => self.enumeration()?,
            Token::Word(_) => return self.alias(words),
            _ => return Err(self.unexpected("a type")),
        };
        Ok(Specifier { kind: Some(kind), name: None })
    }

    /// The words of a type's name, and after them perhaps the name of what is declared.
    fn alias(&mut self, words: Words) -> Result<Specifier<'a>> {
        let mut all: Vec<&'a str> = Vec::new();
        while let Token::Word(word) = self.token {
            if TYPE_WORDS.contains(&word) {
                break;
            }
            self.advance()?;
            if word != "const" {
                all.push(word);
            }
        }
        let name = if words == Words::TypeAndName && all.len() > 1 { all.pop() } else { None };
        let key = all.join(" ");
        let found = self.scopes.find(&key).cloned();
        let kind = found.ok_or_else(|| Error::Tsdl {
            line: self.lexer.line(),
            expected: "the name of a type",
            found: format!("`{key}`"),
        })?;
        Ok(Specifier { kind: Some(kind), name })
    }

    /// `struct name`, `struct name { … }` or `struct { … }`, perhaps with `align(bits)`.
    fn structure(&mut self) -> Result<TypeRef> {
        self.advance()?;
        let name = self.optional_name()?;
        if !self.at_mark(b'{') {
            return self.named("struct", name);
        }
        let members = self.members()?;
        let mut align = 1;
        if self.at_word("align") {
            self.advance()?;
            self.expect(b'(', "`(` after `align`")?;
            let bits = self.signed_number()?;
            align = self.alignment(bits)?;
            self.expect(b')', "`)` after an alignment")?;
        }
        let kind = self.weighed(Type::structure(members, align))?;
        self.define("struct", name, &kind);
        Ok(kind)
    }

    /// `variant name <tag> { … }`; tag, name or body may be missing, but not all of them.
    fn variant(&mut self) -> Result<TypeRef> {
        self.advance()?;
        let name = self.optional_name()?;
        let tag = if self.eat(b'<')? {
            let path = self.path()?;
            self.expect(b'>', "`>` after a tag")?;
            Some(path)
        } else {
            None
        };
        if self.at_mark(b'{') {
            let options: Arc<[MemberType]> = self.members()?.into();
            if let Some(name) = name {
                let open = self.weighed(Type::variant(None, options.clone()))?;
                self.define("variant", Some(name), &open);
            }
            return self.weighed(Type::variant(tag, options));
        }
        let kind = self.named("variant", name)?;
        match tag.and_then(|tag| kind.tagged(tag)) {
            Some(tagged) => self.weighed(tagged),
            None => Ok(kind),
        }
    }

    /// The name of a structure, variant or enumeration at the cursor, if there is one.
    pub(super) fn optional_name(&mut self) -> Result<Option<&'a str>> {
        let Token::Word(name) = self.token else { return Ok(None) };
        self.advance()?;
        Ok(Some(name))
    }

    /// The type that was defined as `keyword name`.
    pub(super) fn named(&self, keyword: &str, name: Option<&str>) -> Result<TypeRef> {
        let Some(name) = name else { return Err(self.unexpected("a name or `{`")) };
        self.scopes.find(&format!("{keyword} {name}")).cloned().ok_or_else(|| Error::Tsdl {
            line: self.lexer.line(),
            expected: "the name of a type",
            found: format!("`{keyword} {name}`"),
        })
    }

    pub(super) fn define(&mut self, keyword: &str, name: Option<&str>, kind: &TypeRef) {
        if let Some(name) = name {
            self.scopes.define(format!("{keyword} {name}"), kind.clone());
        }
    }

    pub(super) fn weighed(&self, kind: Type) -> Result<TypeRef> {
        match kind.weight.excess() {
            Some(what) => Err(self.too_big(what)),
            None => Ok(kind.into()),
        }
    }
}
