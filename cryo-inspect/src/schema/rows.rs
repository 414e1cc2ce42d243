//! What stands around what is said: whose it is, and that there are several.

use schemars::JsonSchema;

/// What is said of each process.
#[derive(JsonSchema)]
pub struct Processes<T> {
    /// The processes; missing if there is none in the file.
    #[serde(default)]
    pub processes: Vec<Of<T>>,
}

/// Something, with whose it is.
#[derive(JsonSchema)]
pub struct Of<T> {
    /// Id of the process.
    pub pid: Option<u64>,
    /// Id of the thread.
    pub tid: Option<u64>,
    /// Local id in the image, where no file says the other.
    pub local_id: Option<u64>,
    /// What is said.
    #[serde(flatten)]
    pub what: T,
}

/// The rows of a table.
#[derive(JsonSchema)]
pub struct Rows<T> {
    /// The rows; missing if nothing is known.
    #[serde(default)]
    pub rows: Vec<T>,
}
