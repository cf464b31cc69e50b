//! Options that would change the result and are not implemented.
//!
//! Unknown fields are ignored as in diffusers, but a field that the sampler's diffusers class acts
//! on must either be honoured or refused by name.

use ae_config::Fields;
use serde_json::Value;

use crate::SchedulerError;
use crate::SchedulerKind::{self, Ddim, DpmSolverMultistep, Euler, EulerAncestral, Pndm};

/// An option of diffusers, the samplers whose diffusers class takes it, and the supported values as JSON texts: the first one,
/// which is recommended, is also the class's default.
type Rule = (&'static str, &'static [SchedulerKind], &'static [&'static str]);

/// The one option whose default, false, is not supported: the Runge-Kutta warm-up, which no Stable Diffusion model uses. A PNDM
/// file that says nothing asks for it. The files of other classes never mention it, and mean none.
const SKIP_PRK_STEPS: &str = "skip_prk_steps";

const RULES: [Rule; 13] = [
    ("trained_betas", SchedulerKind::ALL, &["null"]),
    (SKIP_PRK_STEPS, &[Pndm], &["true"]),
    // Only `epsilon` and `v_prediction` exist for these classes.
    ("prediction_type", &[Pndm, EulerAncestral], &[r#""epsilon""#, r#""v_prediction""#]),
    ("thresholding", &[Ddim, DpmSolverMultistep], &["false"]),
    ("use_beta_sigmas", &[Euler, DpmSolverMultistep], &["false"]),
    ("interpolation_type", &[Euler], &[r#""linear""#]),
    ("timestep_type", &[Euler], &[r#""discrete""#]),
    ("use_lu_lambdas", &[DpmSolverMultistep], &["false"]),
    ("use_flow_sigmas", &[DpmSolverMultistep], &["false"]),
    ("variance_type", &[DpmSolverMultistep], &["null"]),
    ("solver_order", &[DpmSolverMultistep], &["2"]),
    // diffusers reads other solvers' values as its own default: DEIS, UniPC.
    ("algorithm_type", &[DpmSolverMultistep], &[r#""dpmsolver++""#, r#""deis""#]),
    ("solver_type", &[DpmSolverMultistep], &[r#""midpoint""#, r#""logrho""#, r#""bh1""#, r#""bh2""#]),
];

/// Refuses a config with an option that `kind` cannot honour.
pub(crate) fn check(fields: &Fields, kind: SchedulerKind) -> Result<(), SchedulerError> {
    let is_own = fields.get("_class_name").is_none_or(|class| class.as_str() == Some(kind.class_name()));
    for (option, _, supported) in RULES.into_iter().filter(|(_, kinds, _)| kinds.contains(&kind)) {
        let default = if option == SKIP_PRK_STEPS && is_own { "false" } else { supported[0] };
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
            (r#""prediction_type": "sample""#, &[Pndm, EulerAncestral]),
            (r#""thresholding": true"#, &[Ddim, DpmSolverMultistep]),
            (r#""use_beta_sigmas": true"#, &[Euler, DpmSolverMultistep]),
            (r#""interpolation_type": "log_linear""#, &[Euler]),
            (r#""timestep_type": "continuous""#, &[Euler]),
            (r#""use_lu_lambdas": true"#, &[DpmSolverMultistep]),
            (r#""use_flow_sigmas": true"#, &[DpmSolverMultistep]),
            (r#""variance_type": "learned""#, &[DpmSolverMultistep]),
            (r#""solver_order": 3"#, &[DpmSolverMultistep]),
            (r#""algorithm_type": "sde-dpmsolver++""#, &[DpmSolverMultistep]),
            (r#""solver_type": "heun""#, &[DpmSolverMultistep]),
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
