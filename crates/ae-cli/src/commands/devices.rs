use ae_tensor::{Backend, DeviceInfo, FloatType, devices as found};
use attend_and_excite::{Align, size, table};

use crate::error::CliError;
use crate::output::{print, say};

/// Lists what this build can compute on, on this machine.
#[expect(clippy::unnecessary_wraps, reason = "as every command")]
pub(crate) fn devices() -> Result<(), CliError> {
    let mut rows = vec![["device", "name", "driver", "memory", "dtypes"].map(str::to_owned)];
    let mut listed = Vec::new();
    let mut unusable = Vec::new();
    for (spec, info) in found() {
        listed.push(spec.backend());
        match info {
            Ok(info) => rows.push(row(&info)),
            Err(error) => unusable.push(error.to_string()),
        }
    }
    print(&table([Align::Left; 5], &rows));
    for error in unusable {
        say(&error);
    }
    for backend in Backend::ALL.iter().filter(|backend| backend.is_compiled() && !listed.contains(backend)) {
        say(&format!("{}: no device found; it takes {}", backend.name(), backend.needs()));
    }
    let absent: Vec<_> = Backend::ALL.iter().filter(|b| !b.is_compiled()).map(|b| b.name()).collect();
    if !absent.is_empty() {
        say(&format!("not in this build: {} (cargo features of the same names)", absent.join(", ")));
    }
    Ok(())
}

fn row(info: &DeviceInfo) -> [String; 5] {
    let memory = match (info.memory, info.largest_allocation) {
        (Some(bytes), _) => size(bytes),
        (None, Some(bytes)) => format!("unknown, {} at once", size(bytes)),
        (None, None) => "the system's".to_owned(),
    };
    let dtypes: Vec<_> = info.float_types.iter().map(FloatType::to_string).collect();
    let driver = info.driver.clone().unwrap_or_default();
    [info.spec.to_string(), info.name.clone(), driver, memory, dtypes.join(" ")]
}
