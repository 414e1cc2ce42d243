//! JSON Schema of the dump ([`crate::dump`]), for the types whose JSON is not what serde derives. The sections derive theirs, so that what is
//! written about a field in Rust stands in the schema.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::dump::ChunkDump;
use crate::index::{Index, IndexEntry};
use crate::kind::Kind;
use crate::prim::{Addr, Blob, Bytes, Crc, Raw};
use crate::section;

/// A type whose JSON is a string of this pattern.
macro_rules! strings {
    ($([$($generics:tt)*] $ty:ty, $name:expr, $pattern:expr, $what:literal;)*) => {
        $(impl $($generics)* JsonSchema for $ty {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $what })
            }
        })*
    };
}

strings! {
    [] Addr, "addr", "^0x[0-9a-f]{1,16}$", "An address, or a word of that size.";
    [] Crc, "crc32c", "^0x[0-9a-f]{8}$", "A crc32c.";
    [] Bytes, "bytes", r"^([^\\]|\\\\|\\x[0-9a-f]{2})*$", r"UTF-8 as it is, any other byte as \xNN, a backslash as \\.";
    [] Blob, "blob", "^([0-9a-f]{2})*$", "Bytes, two hex digits each.";
    [] Kind, "kind", r"^([^\\]|\\\\|\\x[0-9a-f]{2}){1,4}$", "A chunk kind without the spaces at its end.";
    [<const N: usize>] Raw<N>, format!("raw{N}"), format!("^[0-9a-f]{{{}}}$", N * 2), "Bytes, two hex digits each.";
}

/// Schemas of all sections, those of earlier versions too, each with its kind and version.
fn sections(g: &mut SchemaGenerator) -> Vec<(Kind, u16, Schema)> {
    let mut all = Vec::new();
    macro_rules! now {
        ($($module:ident $ty:ident $kind:literal $version:literal $profile:ident $scope:ident $flags:ident;)*) => {
            $(all.push((Kind(*$kind), $version, g.subschema_for::<section::$module::$ty>()));)*
        };
    }
    macro_rules! before {
        ($($variant:ident $folder:ident $module:ident $ty:ident $kind:literal $version:literal $profile:ident $scope:ident $flags:ident
            => $($next:ident)::+;)*) => {
            $(all.push((Kind(*$kind), $version, g.subschema_for::<section::$folder::$module::$ty>()));)*
        };
    }
    for_each_section!(now);
    for_each_old_section!(before);
    all.push((Kind::INDX, crate::index::STRUCTURAL_VERSION, g.subschema_for::<Index>()));
    all
}

/// The fields of its header, and a payload of which the kind and the version say what it is.
impl JsonSchema for ChunkDump {
    fn schema_name() -> Cow<'static, str> {
        "Chunk".into()
    }

    fn json_schema(g: &mut SchemaGenerator) -> Schema {
        let mut schema = IndexEntry::json_schema(g);
        schema.insert("description".to_owned(), "One chunk.".into());
        let payload = json_schema!({
            "description": "The section's fields in the version that stands in the file; null for DATA and PAD; hex digits for a kind that is not known."
        });
        if let Some(properties) = schema.get_mut("properties").and_then(|p| p.as_object_mut()) {
            properties.remove("reserved");
            properties.insert("payload".to_owned(), payload.into());
        }
        if let Some(required) = schema.get_mut("required").and_then(|r| r.as_array_mut()) {
            required.iter_mut().filter(|name| *name == "reserved").for_each(|name| *name = "payload".into());
        }
        let cases = sections(g).into_iter().map(|(kind, version, payload)| {
            json_schema!({
                "if": { "properties": { "kind": { "const": kind.to_string() }, "version": { "const": version } } },
                "then": { "properties": { "payload": payload } }
            })
        });
        schema.insert("allOf".to_owned(), cases.map(Schema::to_value).collect::<Vec<_>>().into());
        schema
    }
}
