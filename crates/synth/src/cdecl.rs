//! A reader for the small subset of C declarations in `headers/*.h`, from which all layouts are computed.
//!
//! Understood: `struct`/`union` definitions with nested anonymous ones, pointers, arrays, bit-fields, `typedef`,
//! `enum`, the attributes `packed` and `aligned(N)` after the closing brace, and one directive of our own,
//! `unit FILE [FILE …];`, which says in which compile units the definitions that follow live (`unit;` = in all).

use std::collections::BTreeMap;

/// A C type as written.
#[derive(Debug, Clone, PartialEq)]
pub enum Type {
    /// No type: only behind a pointer.
    Void,
    /// A base type by its DWARF name, such as `long unsigned int`.
    Base(&'static str),
    /// Pointer to a type.
    Pointer(Box<Type>),
    /// Array; a count of 0 is a flexible member.
    Array(Box<Type>, u64),
    /// `struct NAME` or `union NAME`.
    Named(String),
    /// Anonymous struct or union.
    Anonymous(Box<Record>),
    /// A typedef's name.
    Typedef(String),
    /// `enum NAME`.
    Enum(String),
}

/// A struct or union as written.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its tag; empty for an anonymous one.
    pub name: String,
    /// Union instead of struct.
    pub is_union: bool,
    /// Members in order: name (empty = anonymous), type, bit-field width.
    pub members: Vec<(String, Type, Option<u8>)>,
    /// No padding at all.
    pub packed: bool,
    /// Forced minimum alignment.
    pub align: Option<u64>,
    /// Compile units that hold this definition; empty = all.
    pub units: Vec<String>,
}

/// Everything one or more headers declare.
#[derive(Debug, Clone, Default)]
pub struct Declarations {
    /// Definitions in order, so that a type used by value precedes its user.
    pub records: Vec<Record>,
    /// Typedefs by name.
    pub typedefs: BTreeMap<String, Type>,
    /// Enums by name, with their enumerators.
    pub enums: BTreeMap<String, Vec<(String, i64)>>,
}

impl Declarations {
    /// Parses `source`; identifiers in `constants` are replaced by their numbers in array bounds.
    ///
    /// # Panics
    /// When the header is not in the subset: headers are part of this crate.
    pub fn parse(&mut self, source: &str, constants: &BTreeMap<&str, u64>) {
        let tokens = tokenize(source);
        let mut parser = Parser { tokens: &tokens, at: 0, constants, units: Vec::new() };
        while parser.at < parser.tokens.len() {
            parser.item(self);
        }
    }
}

fn tokenize(source: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    for line in source.lines() {
        let line = line.split("//").next().unwrap_or_default();
        let mut word = String::new();
        for c in line.chars() {
            if c.is_alphanumeric() || matches!(c, '_' | '-' | '/' | '.') {
                word.push(c);
                continue;
            }
            if !word.is_empty() {
                tokens.push(std::mem::take(&mut word));
            }
            if !c.is_whitespace() {
                tokens.push(c.to_string());
            }
        }
        if !word.is_empty() {
            tokens.push(word);
        }
    }
    tokens
}

struct Parser<'a> {
    tokens: &'a [String],
    at: usize,
    constants: &'a BTreeMap<&'a str, u64>,
    units: Vec<String>,
}

impl Parser<'_> {
    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", String::as_str)
    }

    fn take(&mut self) -> String {
        let token = self.peek().to_owned();
        self.at += 1;
        token
    }

    fn accept(&mut self, token: &str) -> bool {
        let found = self.peek() == token;
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, token: &str) {
        let found = self.take();
        assert_eq!(found, token, "in header near {:?}", &self.tokens[self.at.saturating_sub(8)..self.at]);
    }

    fn item(&mut self, out: &mut Declarations) {
        if self.accept("unit") {
            self.units.clear();
            while !self.accept(";") {
                let unit = self.take();
                self.units.push(unit);
            }
        } else if self.accept("typedef") {
            let base = self.specifier();
            let (name, ty, _) = self.declarator(&base);
            self.expect(";");
            out.typedefs.insert(name, ty);
        } else if self.accept("enum") {
            let name = self.take();
            self.expect("{");
            let mut values = Vec::new();
            let mut next = 0;
            while !self.accept("}") {
                let enumerator = self.take();
                if self.accept("=") {
                    next = self.number() as i64;
                }
                values.push((enumerator, next));
                next += 1;
                self.accept(",");
            }
            self.expect(";");
            out.enums.insert(name, values);
        } else {
            let is_union = self.tag();
            let name = self.take();
            let record = self.body(name, is_union);
            self.expect(";");
            out.records.push(record);
        }
    }

    fn tag(&mut self) -> bool {
        let word = self.take();
        assert!(word == "struct" || word == "union", "unexpected {word} in a header");
        word == "union"
    }

    fn number(&mut self) -> u64 {
        let token = self.take();
        self.constants
            .get(token.as_str())
            .copied()
            .or_else(|| token.parse().ok())
            .unwrap_or_else(|| panic!("{token} is not a number or a known constant"))
    }

    fn body(&mut self, name: String, is_union: bool) -> Record {
        let mut record = Record {
            name,
            is_union,
            members: Vec::new(),
            packed: false,
            align: None,
            units: self.units.clone(),
        };
        self.expect("{");
        while !self.accept("}") {
            let base = self.specifier();
            if matches!(base, Type::Anonymous(_)) && self.accept(";") {
                record.members.push((String::new(), base, None));
                continue;
            }
            loop {
                let member = self.declarator(&base);
                record.members.push(member);
                if !self.accept(",") {
                    break;
                }
            }
            self.expect(";");
        }
        loop {
            if self.accept("packed") {
                record.packed = true;
            } else if self.accept("aligned") {
                self.expect("(");
                record.align = Some(self.number());
                self.expect(")");
            } else {
                return record;
            }
        }
    }

    fn specifier(&mut self) -> Type {
        self.accept("const");
        match self.peek() {
            "void" => {
                self.at += 1;
                Type::Void
            }
            "enum" => {
                self.at += 1;
                Type::Enum(self.take())
            }
            "struct" | "union" => {
                let is_union = self.tag();
                if self.peek() == "{" {
                    Type::Anonymous(Box::new(self.body(String::new(), is_union)))
                } else {
                    Type::Named(self.take())
                }
            }
            _ => self.base_or_typedef(),
        }
    }

    fn base_or_typedef(&mut self) -> Type {
        let mut words = Vec::new();
        while matches!(self.peek(), "unsigned" | "signed" | "char" | "short" | "int" | "long") {
            words.push(self.take());
        }
        let has = |word: &str| words.iter().any(|w| w == word);
        let longs = words.iter().filter(|w| *w == "long").count();
        if words.is_empty() {
            let name = self.take();
            return match name.as_str() {
                "u8" => Type::Base("unsigned char"),
                "u16" => Type::Base("short unsigned int"),
                "u32" => Type::Base("unsigned int"),
                "u64" => Type::Base("long long unsigned int"),
                "size_t" => Type::Typedef("size_t".into()),
                _ => Type::Typedef(name),
            };
        }
        Type::Base(match (has("unsigned"), has("char"), has("short"), longs) {
            (true, true, ..) => "unsigned char",
            (false, true, ..) if has("signed") => "signed char",
            (false, true, ..) => "char",
            (true, _, true, _) => "short unsigned int",
            (false, _, true, _) => "short int",
            (true, .., 0) => "unsigned int",
            (false, .., 0) => "int",
            (true, .., 1) => "long unsigned int",
            (false, .., 1) => "long int",
            (true, ..) => "long long unsigned int",
            (false, ..) => "long long int",
        })
    }

    fn declarator(&mut self, base: &Type) -> (String, Type, Option<u8>) {
        let mut ty = base.clone();
        while self.accept("*") {
            ty = Type::Pointer(Box::new(ty));
        }
        let name = self.take();
        let mut counts = Vec::new();
        while self.accept("[") {
            counts.push(if self.peek() == "]" { 0 } else { self.number() });
            self.expect("]");
        }
        for count in counts.into_iter().rev() {
            ty = Type::Array(Box::new(ty), count);
        }
        let bits = self.accept(":").then(|| self.number() as u8);
        (name, ty, bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_subset() {
        let mut out = Declarations::default();
        let source =
            "unit ltt/a.c kernel/b.c; struct s { struct s *next, **pprev; unsigned long x[N]; int o:1, a:1;
            union { char c; struct { u64 d; }; } u; struct { u8 e; }; } packed aligned(64); // tail";
        out.parse(source, &BTreeMap::from([("N", 3)]));
        let s = &out.records[0];
        assert_eq!(s.units, ["ltt/a.c", "kernel/b.c"]);
        assert_eq!((s.packed, s.align, s.members.len()), (true, Some(64), 7));
        assert_eq!(s.members[2].1, Type::Array(Box::new(Type::Base("long unsigned int")), 3));
        assert_eq!(s.members[4].2, Some(1));
        assert!(s.members[6].0.is_empty());
    }
}
