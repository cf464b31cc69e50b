//! Options that would change the result and are not implemented.
//!
//! Unknown fields are ignored as in diffusers, but a field that the sampler's diffusers class acts
//! on must either be honoured or refused by name.

use ae_config::Fields;
use serde_json::Value;

use crate::SchedulerError;
use crate::SchedulerKind::{
    self, Ddim, Ddpm, DpmSolverMultistep, DpmSolverMultistepSde, Euler, EulerAncestral, Kdpm2, Kdpm2Ancestral, Lcm,
    Pndm, UniPc,
};

/// An option of diffusers, the samplers whose diffusers class takes it, and the supported values as JSON texts: the first one,
/// which is recommended, is also the class's default.
type Rule = (&'static str, &'static [SchedulerKind], &'static [&'static str]);

/// The one option whose default, false, is not supported: the Runge-Kutta warm-up, which no Stable Diffusion model uses. A PNDM
/// file that says nothing asks for it. The files of other classes never mention it, and mean none.
const SKIP_PRK_STEPS: &str = "skip_prk_steps";

/// Those of `DPMSolverMultistepScheduler`.
const DPM_SOLVERS: &[SchedulerKind] = &[DpmSolverMultistep, DpmSolverMultistepSde];
const SOLVERS: &[SchedulerKind] = &[DpmSolverMultistep, DpmSolverMultistepSde, UniPc];

const RULES: &[Rule] = &[
    ("trained_betas", SchedulerKind::ALL, &["null"]),
    (SKIP_PRK_STEPS, &[Pndm], &["true"]),
    // Only `epsilon` and `v_prediction` exist for these classes.
    ("prediction_type", &[Pndm, EulerAncestral, Kdpm2, Kdpm2Ancestral], &[r#""epsilon""#, r#""v_prediction""#]),
    ("thresholding", &[Ddim, Ddpm, Lcm, DpmSolverMultistep, DpmSolverMultistepSde, UniPc], &["false"]),
    ("interpolation_type", &[Euler], &[r#""linear""#]),
    ("timestep_type", &[Euler], &[r#""discrete""#]),
    ("use_lu_lambdas", DPM_SOLVERS, &["false"]),
    ("use_flow_sigmas", SOLVERS, &["false"]),
    ("use_dynamic_shifting", SOLVERS, &["false"]),
    ("solver_order", SOLVERS, &["2"]),
    // The fixed variances of a DDPM file are nothing to the others; of a learned one they split off the model's output.
    ("variance_type", DPM_SOLVERS, &["null", r#""fixed_small""#, r#""fixed_small_log""#, r#""fixed_large""#]),
    ("variance_type", &[Ddpm], &[r#""fixed_small""#, r#""fixed_small_log""#, r#""fixed_large""#]),
    // diffusers reads other solvers' values as its own default: DEIS, UniPC.
    ("algorithm_type", DPM_SOLVERS, &[r#""dpmsolver++""#, r#""sde-dpmsolver++""#, r#""deis""#]),
    ("solver_type", DPM_SOLVERS, &[r#""midpoint""#, r#""logrho""#, r#""bh1""#, r#""bh2""#]),
    ("solver_type", &[UniPc], &[r#""bh2""#, r#""bh1""#, r#""midpoint""#, r#""heun""#, r#""logrho""#]),
    ("predict_x0", &[UniPc], &["true"]),
    ("disable_corrector", &[UniPc], &["[]"]),
    ("solver_p", &[UniPc], &["null"]),
];

/// Every field that diffusers' class of some sampler here knows: a file may have been written for any of them.
const KNOWN: [&str; 42] = [
    "algorithm_type",
    "beta_end",
    "beta_schedule",
    "beta_start",
    "clip_sample",
    "clip_sample_range",
    "disable_corrector",
    "dynamic_thresholding_ratio",
    "euler_at_final",
    "final_sigmas_type",
    "flow_shift",
    "interpolation_type",
    "lambda_min_clipped",
    "lower_order_final",
    "num_train_timesteps",
    "original_inference_steps",
    "predict_x0",
    "prediction_type",
    "rescale_betas_zero_snr",
    "sample_max_value",
    "set_alpha_to_one",
    "shift_terminal",
    "sigma_max",
    "sigma_min",
    "skip_prk_steps",
    "solver_order",
    "solver_p",
    "solver_type",
    "steps_offset",
    "thresholding",
    "time_shift_type",
    "timestep_scaling",
    "timestep_spacing",
    "timestep_type",
    "trained_betas",
    "use_beta_sigmas",
    "use_dynamic_shifting",
    "use_exponential_sigmas",
    "use_flow_sigmas",
    "use_karras_sigmas",
    "use_lu_lambdas",
    "variance_type",
];

/// The fields of a config that no sampler knows.
pub(crate) fn ignored(fields: &Fields) -> Vec<String> {
    fields.unknown(&(), KNOWN)
}

/// Refuses a config with an option that `kind` cannot honour.
pub(crate) fn check(fields: &Fields, kind: SchedulerKind) -> Result<(), SchedulerError> {
    let is_own = fields.get("_class_name").is_none_or(|class| class.as_str() == Some(kind.class_name()));
    for (option, _, supported) in RULES.iter().filter(|(_, kinds, _)| kinds.contains(&kind)) {
        let default = if *option == SKIP_PRK_STEPS && is_own { "false" } else { supported[0] };
        let value = fields.get(option).map_or(default.to_owned(), Value::to_string);
        if !supported.contains(&value.as_str()) {
            return Err(SchedulerError::Unsupported { kind, option, value, supported: supported[0] });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SchedulerConfig;
    use crate::SchedulerKind::Heun;

    fn build(json: &str, kind: SchedulerKind) -> Result<(), SchedulerError> {
        SchedulerConfig::from_json(json).expect("a valid config").build(kind, 10).map(|_| ())
    }

    #[test]
    fn runge_kutta_steps_are_refused_by_name() {
        for json in ["{}", r#"{"skip_prk_steps": false}"#] {
            assert_eq!(
                build(json, Pndm).unwrap_err().to_string(),
                "pndm does not support `skip_prk_steps` = false: set it to true, or choose another \
                 scheduler"
            );
            assert_eq!(build(json, Ddim), Ok(()));
        }
    }

    #[test]
    fn a_folder_of_another_class_can_be_sampled_with_pndm() {
        assert_eq!(build(r#"{"_class_name": "DDIMScheduler"}"#, Pndm), Ok(()));
        assert!(build(r#"{"_class_name": "DDIMScheduler", "skip_prk_steps": false}"#, Pndm).is_err());
        assert!(build(r#"{"_class_name": "PNDMScheduler"}"#, Pndm).is_err());
    }

    #[test]
    fn every_option_is_refused_only_by_the_samplers_that_act_on_it() {
        for (field, kinds) in [
            (r#""trained_betas": [0.1, 0.2]"#, SchedulerKind::ALL),
            (r#""prediction_type": "sample""#, &[Pndm, EulerAncestral, Kdpm2, Kdpm2Ancestral]),
            (r#""thresholding": true"#, &[Ddim, Ddpm, Lcm, DpmSolverMultistep, DpmSolverMultistepSde, UniPc]),
            (r#""interpolation_type": "log_linear""#, &[Euler]),
            (r#""timestep_type": "continuous""#, &[Euler]),
            (r#""use_lu_lambdas": true"#, DPM_SOLVERS),
            (r#""use_flow_sigmas": true"#, SOLVERS),
            (r#""use_dynamic_shifting": true"#, SOLVERS),
            (r#""variance_type": "learned""#, &[Ddpm, DpmSolverMultistep, DpmSolverMultistepSde]),
            (r#""solver_order": 3"#, SOLVERS),
            (r#""algorithm_type": "dpmsolver""#, DPM_SOLVERS),
            (r#""solver_type": "heun""#, DPM_SOLVERS),
            (r#""predict_x0": false"#, &[UniPc]),
            (r#""disable_corrector": [0]"#, &[UniPc]),
            (r#""solver_p": "DPMSolverMultistepScheduler""#, &[UniPc]),
            (r#""clip_sample": true"#, &[Heun]),
        ] {
            let json = format!(r#"{{"skip_prk_steps": true, {field}}}"#);
            let name = field.split('"').nth(1).expect("a quoted name");
            for &kind in SchedulerKind::ALL {
                match build(&json, kind) {
                    Ok(()) => assert!(!kinds.contains(&kind), "{kind} took {field}"),
                    Err(SchedulerError::Unsupported { option, .. }) => {
                        assert!(kinds.contains(&kind), "{kind} refused {field}");
                        assert_eq!(option, name);
                    }
                    Err(other) => panic!("{kind} with {field}: {other}"),
                }
            }
        }
    }

    #[test]
    fn values_of_sibling_solvers_are_taken_as_diffusers_does() {
        assert_eq!(build(r#"{"solver_type": "bh2"}"#, DpmSolverMultistep), Ok(()));
        assert_eq!(build(r#"{"algorithm_type": "deis"}"#, DpmSolverMultistep), Ok(()));
    }
}
