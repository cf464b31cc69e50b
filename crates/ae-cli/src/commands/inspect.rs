use crate::error::CliError;
use crate::output::print;

/// Says what a file, a folder or a model is.
pub(crate) fn inspect(name: &str, json: bool) -> Result<(), CliError> {
    let found = attend_and_excite::inspect(name)?;
    print(&if json { format!("{:#}\n", serde_json::json!(found)) } else { found.to_string() });
    Ok(())
}
