//! `--device auto`: the best device that this build and machine have.

use ae_settings::FloatType;
use ae_tensor::{Backend, DeviceChoice, DeviceInfo, DeviceKind, DeviceSpec, by_preference, listed_devices};

use crate::self_test::quick_test;
use crate::trust::Verdicts;

/// The devices that were asked for, with `auto` replaced: by the best GPU that is right in the quick part of the self-test and computes in
/// `dtype`, else by the CPU. `say` hears which one it is, and why no better one. A build for the CPU alone has no choice and says nothing.
///
/// A device is tested once; the outcome is kept in the user's cache by device, driver and version of the program.
pub fn chosen_devices(choices: &[DeviceChoice], dtype: FloatType, say: &mut dyn FnMut(&str)) -> Vec<DeviceSpec> {
    let mut devices = Vec::new();
    for choice in choices {
        match choice {
            DeviceChoice::Named(spec) => devices.push(*spec),
            DeviceChoice::Auto => {
                let verdicts = Verdicts::from_env();
                let (spec, said) = choose(&listed_devices(), |spec| judge(spec, dtype, &verdicts, say));
                if has_gpus() {
                    say(&said);
                }
                if !devices.contains(&spec) {
                    devices.push(spec);
                }
            }
        }
    }
    devices
}

/// Whether this build is for anything but the CPU.
fn has_gpus() -> bool {
    Backend::ALL.iter().any(|backend| *backend != Backend::Cpu && backend.is_compiled())
}

/// The first of the devices, by preference, that `judge` finds right, which gives its name; and what is to be said.
fn choose(
    listed: &[(DeviceSpec, DeviceKind)],
    mut judge: impl FnMut(DeviceSpec) -> Result<String, String>,
) -> (DeviceSpec, String) {
    let mut reasons = Vec::new();
    for spec in by_preference(listed) {
        match judge(spec) {
            Ok(name) => {
                let said: Vec<_> = [format!("device: {spec} ({name})")].into_iter().chain(reasons).collect();
                return (spec, said.join("; not "));
            }
            Err(reason) => reasons.push(reason),
        }
    }
    let software = listed.iter().filter(|(_, kind)| *kind == DeviceKind::Software);
    reasons.extend(software.map(|(spec, _)| software_reason(*spec)));
    let reasons =
        if reasons.is_empty() { "no GPU was found".to_owned() } else { format!("not {}", reasons.join("; not ")) };
    (DeviceSpec::CPU, format!("device: cpu; {reasons}"))
}

fn software_reason(spec: DeviceSpec) -> String {
    format!("{spec}: it is a processor that plays a GPU (--device {spec} takes it nevertheless)")
}

/// The name of a device whose results can be trusted, or why it is not taken.
fn judge(spec: DeviceSpec, dtype: FloatType, verdicts: &Verdicts, say: &mut dyn FnMut(&str)) -> Result<String, String> {
    let info = DeviceInfo::of(spec).map_err(|error| format!("{spec}: {error}"))?;
    let named = format!("{spec} ({})", info.name);
    if info.is_software() {
        return Err(software_reason(spec));
    }
    if !info.float_types.contains(&dtype) {
        return Err(format!("{named}: it does not compute in {dtype}"));
    }
    if !Backend::Cpu.is_compiled() {
        return Ok(format!("{}, untested: this build has no CPU to compare with", info.name));
    }
    let wrong = verdict(&info, verdicts, &mut || {
        say(&format!(
            "testing {named} once, which compiles its kernels and can take a minute; `ae self-test` shows more"
        ));
        quick_test(spec, &mut |_| {}).unwrap_or_else(|error| Some(error.to_string()))
    });
    match wrong {
        None => Ok(info.name),
        Some(wrong) => Err(format!(
            "{named}: {wrong} (--device {spec} takes it nevertheless; `ae self-test --quick --device {spec}` tests it again)"
        )),
    }
}

/// What is wrong on a device: what is known of it, or what a test finds now, while other processes wait.
fn verdict(info: &DeviceInfo, verdicts: &Verdicts, test: &mut dyn FnMut() -> Option<String>) -> Option<String> {
    if let Some(known) = verdicts.of(info) {
        return known.wrong;
    }
    let _lock = verdicts.lock(info);
    verdicts.of(info).map_or_else(test, |known| known.wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::tests::gpu;

    fn listed(devices: &[(&str, DeviceKind)]) -> Vec<(DeviceSpec, DeviceKind)> {
        devices.iter().map(|(text, kind)| (text.parse().unwrap(), *kind)).collect()
    }

    const MACHINE: [(&str, DeviceKind); 5] = [
        ("cpu", DeviceKind::Processor),
        ("wgpu:0", DeviceKind::Integrated),
        ("wgpu:1", DeviceKind::Discrete),
        ("wgpu:2", DeviceKind::Software),
        ("cuda:0", DeviceKind::Discrete),
    ];

    #[test]
    fn the_best_device_is_taken_and_no_other_is_touched() {
        let mut asked = Vec::new();
        let (spec, said) = choose(&listed(&MACHINE), |spec| {
            asked.push(spec.to_string());
            Ok("Made-up 1".to_owned())
        });
        assert_eq!((spec.to_string().as_str(), said.as_str()), ("cuda:0", "device: cuda:0 (Made-up 1)"));
        assert_eq!(asked, ["cuda:0"]);
    }

    #[test]
    fn the_next_one_is_taken_with_the_reason() {
        let (spec, said) = choose(&listed(&MACHINE), |spec| match spec.to_string().as_str() {
            "wgpu:0" => Ok("Small".to_owned()),
            other => Err(format!("{other}: it smokes")),
        });
        assert_eq!(spec.to_string(), "wgpu:0");
        assert_eq!(said, "device: wgpu:0 (Small); not cuda:0: it smokes; not wgpu:1: it smokes");
    }

    #[test]
    fn without_a_gpu_that_is_right_it_is_the_cpu_with_all_reasons() {
        let (spec, said) = choose(&listed(&MACHINE[..4]), |spec| Err(format!("{spec}: it smokes")));
        assert_eq!(spec, DeviceSpec::CPU);
        let end = "not wgpu:2: it is a processor that plays a GPU (--device wgpu:2 takes it nevertheless)";
        assert_eq!(said, format!("device: cpu; not wgpu:1: it smokes; not wgpu:0: it smokes; {end}"));
        let (spec, said) = choose(&listed(&MACHINE[..1]), |_| unreachable!("the CPU is not tested"));
        assert_eq!((spec, said.as_str()), (DeviceSpec::CPU, "device: cpu; no GPU was found"));
    }

    #[test]
    fn a_test_runs_once_and_is_remembered_whatever_came_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let verdicts = Verdicts::new(folder.path());
        for (spec, wrong) in [("wgpu:0", None), ("wgpu:1", Some("'maximum' is wrong on it".to_owned()))] {
            let (info, mut tests) = (gpu(spec, "x"), 0);
            for _ in 0..3 {
                let found = verdict(&info, &verdicts, &mut || {
                    tests += 1;
                    verdicts.keep(&info, wrong.as_deref());
                    wrong.clone()
                });
                assert_eq!(found, wrong);
            }
            assert_eq!(tests, 1);
        }
    }

    #[test]
    fn named_devices_are_taken_as_they_are() {
        let choices = ["cuda:1", "cpu", "cpu"].map(|text| text.parse().unwrap());
        let devices = chosen_devices(&choices, FloatType::F32, &mut |said| panic!("{said}"));
        assert_eq!(devices.iter().map(DeviceSpec::to_string).collect::<Vec<_>>(), ["cuda:1", "cpu", "cpu"]);
    }

    #[test]
    fn a_build_for_the_cpu_has_no_choice_and_says_nothing() {
        if has_gpus() {
            return;
        }
        for choices in [vec![DeviceChoice::Auto], vec![DeviceChoice::Auto, DeviceChoice::Named(DeviceSpec::CPU)]] {
            let devices = chosen_devices(&choices, FloatType::F16, &mut |said| panic!("{said}"));
            assert_eq!(devices[0], DeviceSpec::CPU);
        }
    }
}
