//! What the JSON of each command is made of, as Rust types, of which `schemars` makes JSON Schemas (`cryo-inspect schema`).
//!
//! Output is not made of these types: it is drawn from [blocks](crate::block), from which everything is drawn. `tests/schema.rs` compares what every command
//! prints with its schema, so that a member which is not told here, or not there, is an error. Of `dump` the types are the format's own.
//!
//! | in Rust | in JSON |
//! |---|---|
//! | [`Addr`](cryo_format::prim::Addr) | a string, `0x` and hex digits: an address or a bit pattern |
//! | [`Blob`](cryo_format::prim::Blob) | a string of hex digits, two for each byte |
//! | an `Option` | is left out, or null, where it is not known |
//! | a `Map` | what the printer of a section says: its headings and labels, as `dump` shows them to people |

pub mod compare;
pub mod cpu;
pub mod kernel;
pub mod memory;
pub mod overview;
pub mod rows;

use compare::{Condition, Diff};
use cpu::{Doing, Registers};
use kernel::{Auxiliary, Descriptors, Environment, Member, Note, Signals, Thread, Timers};
use memory::{Backtraces, Found, Hexdump, Instruction, ModuleOrSymbol, Stats, Text, Word};
use overview::{AddressSpace, Dump, Info, Verified};
use rows::{Processes, Rows};
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value};

/// Makes the schema of one command.
pub type Make = fn(&mut SchemaGenerator) -> Schema;

/// Every command that prints JSON.
pub const ALL: [(&str, Make); 25] = [
    ("dump", |g| g.subschema_for::<Dump>()),
    ("verify", |g| g.subschema_for::<Vec<Verified>>()),
    ("info", |g| g.subschema_for::<Info>()),
    ("map", |g| g.subschema_for::<Processes<AddressSpace>>()),
    ("regs", |g| g.subschema_for::<Processes<Registers>>()),
    ("syscall", |g| g.subschema_for::<Processes<Rows<Doing>>>()),
    ("fds", |g| g.subschema_for::<Processes<Descriptors>>()),
    ("signals", |g| g.subschema_for::<Processes<Signals>>()),
    ("timers", |g| g.subschema_for::<Processes<Timers>>()),
    ("tree", |g| g.subschema_for::<Vec<Member>>()),
    ("threads", |g| g.subschema_for::<Processes<Rows<Thread>>>()),
    ("env", |g| g.subschema_for::<Processes<Environment>>()),
    ("auxv", |g| g.subschema_for::<Processes<Rows<Auxiliary>>>()),
    ("notes", |g| g.subschema_for::<Vec<Note>>()),
    ("query", |g| g.subschema_for::<Vec<Value>>()),
    ("diff", |g| g.subschema_for::<Diff>()),
    ("check", |g| g.subschema_for::<Vec<Condition>>()),
    ("stats", |g| g.subschema_for::<Processes<Stats>>()),
    ("hexdump", |g| g.subschema_for::<Hexdump>()),
    ("telescope", |g| g.subschema_for::<Vec<Word>>()),
    ("bt", |g| g.subschema_for::<Processes<Backtraces>>()),
    ("disas", |g| g.subschema_for::<Vec<Instruction>>()),
    ("symbols", |g| g.subschema_for::<Processes<Rows<ModuleOrSymbol>>>()),
    ("strings", |g| g.subschema_for::<Vec<Text>>()),
    ("search", |g| g.subschema_for::<Vec<Found>>()),
];

/// The schema of what a command prints.
pub fn of(command: &str) -> Option<Value> {
    let (name, make) = ALL.iter().find(|(name, _)| *name == command)?;
    let mut g = SchemaGenerator::default();
    let schema = make(&mut g).to_value();
    Some(document(&format!("cryo-inspect {name} --format json"), schema, g.take_definitions(true)))
}

/// One document with the schemas of all commands: each is `#/$defs/COMMAND`, and the document itself is what any of them prints.
pub fn all() -> Value {
    let mut g = SchemaGenerator::default();
    let made = ALL.map(|(name, make)| (name, make(&mut g).to_value()));
    let any: Vec<Value> =
        ALL.iter().map(|(name, _)| serde_json::json!({ "$ref": format!("#/$defs/{name}") })).collect();
    let mut definitions: Map<String, Value> =
        made.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
    definitions.extend(g.take_definitions(true));
    document("cryo-inspect --format json", serde_json::json!({ "anyOf": any }), definitions)
}

fn document(title: &str, schema: Value, definitions: Map<String, Value>) -> Value {
    let mut all = Map::new();
    all.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    all.insert("title".to_owned(), title.into());
    if let Value::Object(members) = schema {
        all.extend(members);
    }
    all.insert("$defs".to_owned(), definitions.into());
    all.into()
}
