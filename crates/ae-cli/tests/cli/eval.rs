//! Evaluations: drawn in parts, interrupted, scored, reported.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ae_tests::fixtures;

use crate::run::{Outcome, Place};
use crate::snapshot::assert_snapshot;

/// What makes a picture quick to draw; what it shows does not matter here.
const QUICK: [&str; 4] = ["--steps", "2", "--thresholds", "none"];

/// Arguments of a small evaluation: every method, two prompts of every set, two seeds; 48 pictures.
fn small(output: &str) -> Vec<&str> {
    [&["eval", "run", "-q", "--limit", "2", "--seeds", "0-1", "--output", output], QUICK.as_slice()].concat()
}

fn succeeds(outcome: &Outcome) {
    assert_eq!(outcome.code, Some(0), "{outcome}");
}

/// Every file below a folder with its bytes, but for costs, which have their seconds.
fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(folder: &Path, prefix: &str, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if name == "costs" {
                continue;
            }
            if entry.path().is_dir() {
                walk(&entry.path(), &format!("{name}/"), found);
            } else {
                found.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(folder, "", &mut found);
    found
}

/// Asserts that two folders hold the same files.
fn same(one: &Path, other: &Path) {
    let (one, other) = (contents(one), contents(other));
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&one), names(&other));
    for (name, bytes) in &one {
        assert!(other[name] == *bytes, "{name} differs");
    }
}

/// `ae eval run`, `score` and `report`, killed and in shards, against the same without interruption.
#[cfg(unix)]
#[test]
fn interrupted_evaluations_end_as_whole_ones() {
    let place = Place::new();
    succeeds(&place.run(&small("whole")));
    succeeds(&place.run(&["eval", "score", "-q", "whole"]));
    let whole = place.path().join("whole");
    assert_eq!(place.files().iter().filter(|name| name.starts_with("whole/costs/")).count(), 48);
    assert_eq!(contents(&whole).keys().filter(|name| name.split('.').next_back() == Some("png")).count(), 48);

    killed(&place);
    // Two devices, which share what is missing.
    succeeds(&place.run(&[small("killed").as_slice(), &["--device", "cpu,cpu"]].concat()));
    succeeds(&place.run(&["eval", "score", "-q", "killed"]));
    same(&whole, &place.path().join("killed"));

    // The environment of a Slurm array and of a Kubernetes Job, and the option.
    let environments: [&[(&str, &str)]; 3] = [
        &[("SLURM_ARRAY_TASK_ID", "5"), ("SLURM_ARRAY_TASK_MIN", "5"), ("SLURM_ARRAY_TASK_COUNT", "3")],
        &[("JOB_COMPLETION_INDEX", "1"), ("AE_SHARDS", "3")],
        &[],
    ];
    for (index, variables) in environments.iter().enumerate() {
        let mut command = place.command(&small("shards"));
        if variables.is_empty() {
            command.args(["--shard", &format!("{index}/3")]);
        }
        succeeds(&Outcome::from(command.envs(variables.iter().copied()).output().unwrap()));
        let drawn = contents(&place.path().join("shards")).len() - 1;
        assert_eq!(drawn, (index + 1) * 16, "pictures after shard {index}");
    }
    succeeds(&place.run(&["eval", "score", "-q", "shards"]));
    same(&whole, &place.path().join("shards"));

    // Nothing is drawn or scored twice.
    let written = |name: &str| fs::metadata(whole.join(name)).unwrap().modified().unwrap();
    let files = ["stable-diffusion/a cat and a dog/0.png", "scores/detector/stable-diffusion.json", "evaluation.json"];
    let before = files.map(written);
    succeeds(&place.run(&small("whole")));
    let outcome = place.run(&["eval", "score", "whole"]);
    succeeds(&outcome);
    assert_snapshot("eval_score_again", &outcome);
    assert_eq!(files.map(written), before);

    // A picture that was lost is drawn again, the same.
    fs::remove_file(whole.join(files[0])).unwrap();
    succeeds(&place.run(&small("whole")));
    same(&whole, &place.path().join("killed"));
    report_of(&place);
}

/// Kills the run and the scoring at random moments, five times each.
#[cfg(unix)]
fn killed(place: &Place) {
    use std::time::{Duration, SystemTime};

    let mut random = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos() as u64 | 1;
    let mut below = |limit: u64| {
        // Xorshift: any moment will do.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % limit
    };
    let folder = place.path().join("killed");
    let drawn = || if folder.exists() { contents(&folder).len() } else { 0 };
    let mut kills = 0;
    while kills < 5 {
        let before = drawn();
        let mut child = place.command(&small("killed")).spawn().unwrap();
        // At least one picture each time, so that it comes to an end; not all of them, so that there is something to kill.
        while drawn() <= before + 1 && child.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(below(300)));
        child.kill().unwrap();
        kills += u32::from(!child.wait().unwrap().success());
        assert!(kills == 5 || drawn() < 48, "all pictures were drawn after {kills} kills");
    }
    for _ in 0..5 {
        let mut child = place.command(&["eval", "score", "-q", "killed"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(below(400)));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// The report of the folder `whole`.
#[cfg(unix)]
fn report_of(place: &Place) {
    let outcome = place.run(&["eval", "report", "whole", "--examples", "2", "--rows", "2"]);
    succeeds(&outcome);
    let report = place.path().join("whole/report");
    let mut named: Vec<_> = outcome.stdout.lines().map(|line| line.rsplit(['/', '\\']).next().unwrap()).collect();
    named.sort_unstable();
    let mut files: Vec<_> = contents(&report).into_keys().collect();
    files.sort_unstable();
    assert_eq!(named, files);
    for name in [
        "index.html",
        "report.md",
        "results.csv",
        "results.json",
        "all_subjects.svg",
        "all_subjects.png",
        "pictures.png",
    ] {
        assert!(files.contains(&name.to_owned()), "{name} is not in {files:?}");
    }
    let csv = fs::read_to_string(report.join("results.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + 48);
    let json: serde_json::Value = serde_json::from_slice(&fs::read(report.join("results.json")).unwrap()).unwrap();
    assert_eq!(json["plan"]["model"], "sprites 3");
    // Four columns of at most 160 pixels.
    let (width, _) = image::image_dimensions(report.join("pictures.png")).unwrap();
    assert!((4 * 128..900).contains(&width), "{width}");
}

#[test]
fn an_ablation_is_one_command() {
    let place = Place::new();
    let mut args = vec!["eval", "run", "-q", "--prompts", "animals", "--limit", "1", "--seeds", "0", "--steps", "3"];
    args.extend(["--max-iter-to-alter", "1", "--thresholds", "none", "--ablation", "altered-steps", "--report"]);
    succeeds(&place.run(&args));
    let files = contents(&place.path().join("evaluation"));
    let picture = |arm: &str| &files[&format!("{arm}/a cat and a dog/0.png")];
    assert_ne!(picture("first-1-steps"), picture("all-steps"));
    assert!(files.contains_key("report/index.html"));
    for (ablation, arms) in [
        ("smoothing", ["smoothed", "not-smoothed"].as_slice()),
        ("refinement", &["refined", "not-refined"]),
        ("thresholds", &["default", "only-0", "only-10", "only-20", "stricter"]),
        ("scale-factor", &["scale-5", "scale-10", "scale-20", "scale-40", "scale-80"]),
        // The model's own, 30, among those that are tried with any model.
        (
            "attention-scale",
            &[
                "attention-scale-5",
                "attention-scale-15",
                "attention-scale-30",
                "attention-scale-50",
                "attention-scale-100",
            ],
        ),
        ("attention-resolution", &["maps-8x8", "maps-16x16"]),
    ] {
        let mut args =
            vec!["eval", "run", "-q", "--prompts", "animals", "--limit", "1", "--seeds", "0", "--steps", "1"];
        args.extend(["--max-refinement-steps", "1", "--ablation", ablation, "--output", ablation]);
        succeeds(&place.run(&args));
        let plan: serde_json::Value =
            serde_json::from_slice(&fs::read(place.path().join(ablation).join("evaluation.json")).unwrap()).unwrap();
        let names = plan["arms"].as_array().unwrap().iter().map(|arm| arm["name"].as_str().unwrap().to_owned());
        let names: Vec<_> = names.collect();
        assert_eq!(names, [&["stable-diffusion"], arms].concat(), "{ablation}");
        // Every arm but plain sampling has settings of its own.
        let settings: Vec<_> = plan["arms"].as_array().unwrap().iter().map(|arm| &arm["settings"]).collect();
        for (index, one) in settings.iter().enumerate() {
            assert!(settings[..index].iter().all(|other| other != one), "{ablation}: {one}");
        }
    }
}

#[test]
fn prompts_of_a_file_and_pictures_of_anyone_are_scored() {
    let place = Place::new();
    let prompts =
        r#"{"a": [{"prompt": "a cat and a dog", "token_indices": [2, 5]}], "b": ["a lion with a crown", "a zebra"]}"#;
    fs::write(place.path().join("prompts.json"), prompts).unwrap();
    let args = ["eval", "run", "-q", "--prompts", "prompts.json", "--seeds", "3", "--methods", "attend-and-excite"];
    succeeds(&place.run(&[args.as_slice(), &QUICK].concat()));
    // As the official repository draws: no plan, no method.
    let theirs = place.path().join("evaluation/attend-and-excite");
    let outcome = place.run(&["eval", "score", "evaluation/attend-and-excite", "--results", "results"]);
    succeeds(&outcome);
    assert_snapshot("eval_score_theirs", &outcome);
    assert!(!theirs.join("scores").exists());
    succeeds(&place.run(&["eval", "report", "evaluation/attend-and-excite", "--results", "results"]));
    assert!(place.path().join("results/report/index.html").exists());
}

/// The paper's metrics, with the small models of the parity tests.
#[test]
fn clip_and_blip_score_pictures() {
    let place = Place::new();
    let args = ["eval", "run", "-q", "--prompts", "animals", "--limit", "2", "--seeds", "0"];
    succeeds(&place.run(
        &[args.as_slice(), &["--methods", "stable-diffusion,attend-and-excite,stable-diffusion"], &QUICK].concat(),
    ));
    let (clip, blip) = (place.path().join("clip"), fixtures("blip/tied"));
    fs::create_dir(&clip).unwrap();
    for part in ["vision/gelu", "clip/sd1"] {
        for (name, bytes) in contents(&fixtures(part)) {
            fs::write(clip.join(name), bytes).unwrap();
        }
    }
    let blip = blip.to_str().unwrap();
    succeeds(&place.run(&["eval", "score", "-q", "evaluation", "--clip", "clip", "--blip", blip, "--no-detector"]));
    let files = contents(&place.path().join("evaluation/scores"));
    let names: Vec<_> = files.keys().map(String::as_str).collect();
    let arms = ["attend-and-excite.json", "stable-diffusion.json"];
    assert_eq!(names, ["blip", "clip"].map(|scorer| arms.map(|arm| format!("{scorer}/{arm}"))).concat());
    for (scorer, keys) in [("clip", ["clip_full", "clip_minimum"].as_slice()), ("blip", &["text_text"])] {
        let scores: serde_json::Value =
            serde_json::from_slice(&files[&format!("{scorer}/stable-diffusion.json")]).unwrap();
        for picture in scores["pictures"].as_array().unwrap() {
            let values = picture["values"].as_object().unwrap();
            assert_eq!(values.keys().collect::<Vec<_>>(), keys);
            assert!(values.values().all(|value| value.as_f64().unwrap().abs() <= 1.0), "{values:?}");
            assert_eq!(picture["detail"]["caption"].is_string(), scorer == "blip");
        }
    }
    succeeds(&place.run(&["eval", "report", "evaluation"]));
    let report = fs::read_to_string(place.path().join("evaluation/report/report.md")).unwrap();
    // The paper's, of animals by either method, beside ours.
    assert!(report.contains("0.767") && report.contains("0.806"), "{report}");
}

#[test]
fn mistakes_are_named() {
    let place = Place::new();
    let fails = |name: &str, code: i32, args: &[&str]| {
        let outcome = place.run(&[&["eval"], args].concat());
        assert_eq!(outcome.code, Some(code), "{outcome}");
        assert!(!outcome.stderr.contains("panicked"), "{outcome}");
        assert_snapshot(name, &outcome);
    };
    fs::write(place.path().join("twice.txt"), "a cat\na cat\n").unwrap();
    fs::write(place.path().join("broken.json"), "[{}]").unwrap();
    fs::create_dir(place.path().join("empty")).unwrap();
    fails("eval_prompts", 1, &["run", "--prompts", "none.txt"]);
    fails("eval_prompts_twice", 1, &["run", "--prompts", "twice.txt"]);
    fails("eval_prompts_broken", 1, &["run", "--prompts", "broken.json"]);
    fails("eval_shard", 2, &["run", "--shard", "3/3"]);
    fails("eval_ablation", 2, &["run", "--ablation", "magic"]);
    fails("eval_ablation_and_methods", 2, &["run", "--ablation", "smoothing", "--methods", "stable-diffusion"]);
    fails("eval_score_empty", 1, &["score", "empty"]);
    fails("eval_score_missing", 1, &["score", "nowhere"]);
    fails("eval_blip_alone", 2, &["score", "empty", "--blip", "blip"]);
    assert_eq!(place.files(), ["broken.json", "twice.txt"]);

    let small = ["--limit", "1", "--prompts", "animals", "--seeds", "0", "--methods", "stable-diffusion", "-q"];
    succeeds(&place.run(&[&["eval", "run"], small.as_slice(), &QUICK].concat()));
    fails("eval_other_settings", 1, &[&["run"], small.as_slice(), &["--steps", "3"]].concat());
    fails("eval_score_method", 2, &["score", "evaluation", "--methods", "magic"]);
    fails("eval_report_without_scores", 1, &["report", "evaluation"]);
    fails("eval_clip_missing", 1, &["score", "evaluation", "--clip", "none"]);
    fs::write(place.path().join("evaluation/stable-diffusion/a cat and a dog/0.png"), "no picture").unwrap();
    fails("eval_score_broken_picture", 1, &["score", "evaluation"]);
    fs::write(place.path().join("evaluation/evaluation.json"), "{}").unwrap();
    fails("eval_plan_broken", 1, &["run", "-q"]);
}

/// LoRAs that prompts name change on the loaded model; the pictures are those of `ae generate`.
#[test]
fn prompts_with_loras_are_drawn_with_them() {
    let place = Place::new();
    let loras = place.path().join("loras");
    fs::create_dir(&loras).unwrap();
    fs::copy(fixtures("convenience/lora/kohya.safetensors"), loras.join("ink.safetensors")).unwrap();
    let prompts = ["a cat <lora:ink:0.7:0.3>", "a dog", "a red cat <lora:ink:0.7:0.3>"];
    fs::write(place.path().join("prompts.txt"), prompts.join("\n")).unwrap();
    let model = fixtures("models/sd1").display().to_string();
    let shared = ["--model", &model, "--prompt-syntax", "a1111", "--lora-dir", "loras", "--steps", "2", "-q"];
    let run = ["eval", "run", "--prompts", "prompts.txt", "--methods", "stable-diffusion", "--seeds", "7"];
    let run = [&run[..], &shared, &["--output", "all"]].concat();
    succeeds(&place.run(&run));
    let [first, second, third] = prompts;
    let draw = ["generate", "--prompt", first, "--prompt", second, "--prompt", third, "--method", "stable-diffusion"];
    succeeds(&place.run(&[&draw[..], &shared, &["--seeds", "7", "--output", "one"]].concat()));
    for (prompt, without_tag) in prompts.into_iter().zip(["a cat", "a dog", "a red cat"]) {
        let all = place.path().join("all/stable-diffusion").join(ae_files::folder_name(prompt)).join("7.png");
        let one = place.path().join("one").join(without_tag).join("7.png");
        assert!(fs::read(all).unwrap() == fs::read(one).unwrap(), "{prompt}");
    }
    let plan: serde_json::Value =
        serde_json::from_slice(&fs::read(place.path().join("all/evaluation.json")).unwrap()).unwrap();
    assert_eq!(plan["files"]["ink.safetensors"].as_str().map(str::len), Some(64));
    assert_eq!(plan["arms"][0]["settings"]["loras"].as_array().map_or(0, Vec::len), 0);

    // Another file under the name is another evaluation.
    fs::copy(fixtures("convenience/lora/peft.safetensors"), loras.join("ink.safetensors")).unwrap();
    let outcome = place.run(&run);
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(
        outcome.stderr.contains("holds another evaluation: its file 'ink.safetensors' has the SHA-256"),
        "{outcome}"
    );
    fs::remove_file(loras.join("ink.safetensors")).unwrap();
    let outcome = place.run(&run);
    assert!(outcome.stderr.contains("there is no file 'ink' in"), "{outcome}");
}
