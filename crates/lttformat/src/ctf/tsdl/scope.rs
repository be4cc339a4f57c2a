//! Names of types, and where they are visible.

use std::collections::HashMap;

use super::types::TypeRef;

/// Named types of the enclosing blocks, innermost last.
///
/// A key is the type's words joined by blanks: `uint32_t`, `unsigned long`, `struct packet_context`.
#[derive(Debug)]
pub(super) struct Scopes(Vec<HashMap<String, TypeRef>>);

impl Scopes {
    pub(super) fn new() -> Scopes {
        Scopes(vec![HashMap::new()])
    }

    pub(super) fn enter(&mut self) {
        self.0.push(HashMap::new());
    }

    pub(super) fn leave(&mut self) {
        self.0.pop();
    }

    /// Names a type; a second one of the same name in the same block replaces the first.
    pub(super) fn define(&mut self, name: String, kind: TypeRef) {
        if let Some(scope) = self.0.last_mut() {
            scope.insert(name, kind);
        }
    }

    pub(super) fn find(&self, name: &str) -> Option<&TypeRef> {
        self.0.iter().rev().find_map(|scope| scope.get(name))
    }
}
