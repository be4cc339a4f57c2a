//! The JSON document, both to read and to write; strings borrowed where JSON allows.

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// A string of the document.
pub(super) type Text<'a> = Cow<'a, str>;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Document<'a> {
    #[serde(borrow, default)]
    pub(super) metadata: Metadata<'a>,
    #[serde(borrow, default)]
    pub(super) base_types: Ordered<'a, BaseType<'a>>,
    // Not optional: any other JSON document would be an empty set of types.
    #[serde(borrow)]
    pub(super) user_types: Ordered<'a, UserType<'a>>,
    #[serde(borrow, default)]
    pub(super) enums: Ordered<'a, Enumeration<'a>>,
    #[serde(borrow, default)]
    pub(super) symbols: Ordered<'a, SymbolEntry<'a>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Metadata<'a> {
    #[serde(borrow, default)]
    pub(super) format: Text<'a>,
    #[serde(borrow, default)]
    pub(super) producer: Producer<'a>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) build_id: Option<Text<'a>>,
    /// Build-ids of modules by their names.
    #[serde(borrow, default, skip_serializing_if = "Ordered::is_empty")]
    pub(super) modules: Ordered<'a, Text<'a>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Producer<'a> {
    #[serde(borrow, default)]
    pub(super) name: Text<'a>,
    #[serde(borrow, default)]
    pub(super) version: Text<'a>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BaseType<'a> {
    pub(super) size: u64,
    #[serde(default)]
    pub(super) signed: bool,
    #[serde(borrow)]
    pub(super) kind: Text<'a>,
    #[serde(borrow, default)]
    pub(super) endian: Text<'a>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct UserType<'a> {
    pub(super) size: u64,
    #[serde(borrow)]
    pub(super) kind: Text<'a>,
    #[serde(borrow, default)]
    pub(super) fields: Ordered<'a, FieldEntry<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FieldEntry<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) ty: Reference<'a>,
    pub(super) offset: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) anonymous: bool,
}

/// A use of a type. One flat record for all kinds, because a tagged one would have to be read twice.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Reference<'a> {
    #[serde(borrow)]
    pub(super) kind: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) count: Option<u64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) subtype: Option<Box<Reference<'a>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) bit_position: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) bit_length: Option<u64>,
    #[serde(borrow, default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) ty: Option<Box<Reference<'a>>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Enumeration<'a> {
    pub(super) size: u64,
    #[serde(borrow)]
    pub(super) base: Text<'a>,
    #[serde(borrow, default)]
    pub(super) constants: Ordered<'a, i128>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SymbolEntry<'a> {
    pub(super) address: u64,
    #[serde(borrow, default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub(super) ty: Option<Reference<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) linkage_name: Option<Text<'a>>,
    /// Base64.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub(super) constant_data: Option<Text<'a>>,
}

/// A JSON object in the order of the file: the order of members is worth keeping.
#[derive(Debug)]
pub(super) struct Ordered<'a, V>(pub(super) Vec<(Text<'a>, V)>);

impl<V> Ordered<'_, V> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<V> Default for Ordered<'_, V> {
    fn default() -> Self {
        Ordered(Vec::new())
    }
}

impl<V: Serialize> Serialize for Ordered<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl<'de: 'a, 'a, V: Deserialize<'de>> Deserialize<'de> for Ordered<'a, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(OrderedVisitor(PhantomData))
    }
}

struct OrderedVisitor<'a, V>(PhantomData<(&'a (), V)>);

impl<'de: 'a, 'a, V: Deserialize<'de>> Visitor<'de> for OrderedVisitor<'a, V> {
    type Value = Ordered<'a, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        /// A key that borrows, which plain `Cow` never does.
        #[derive(Deserialize)]
        struct Key<'k>(#[serde(borrow)] Cow<'k, str>);

        let mut entries = Vec::new();
        while let Some((Key(key), value)) = map.next_entry()? {
            entries.push((key, value));
        }
        Ok(Ordered(entries))
    }
}
