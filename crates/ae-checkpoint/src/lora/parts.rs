//! The tensors of one module, and the updates that they make.

use std::collections::BTreeMap;
use std::io;

use super::adapter_config::AdapterConfigs;
use super::address::Address;
use super::keys::Role;
use super::{LoraError, LoraFactor, LoraLayer, LoraMagnitude, LoraParameter, LoraUpdate};
use crate::{Checkpoint, ElementType, StoredTensor};

/// The tensors of one module with their names.
#[derive(Default)]
pub(super) struct Parts<'a>(BTreeMap<Role, (&'a str, &'a StoredTensor)>);

impl<'a> Parts<'a> {
    /// Adds a tensor; returns one that had its place.
    pub(super) fn insert(
        &mut self,
        role: Role,
        (key, tensor): (&'a String, &'a StoredTensor),
    ) -> Option<(&'a str, &'a StoredTensor)> {
        self.0.insert(role, (key.as_str(), tensor))
    }

    /// The updates of the module's parameters, each in the file's numbers.
    pub(super) fn layers(
        mut self,
        name: &str,
        module: &str,
        address: &Address,
        checkpoint: &Checkpoint,
        configs: &AdapterConfigs,
    ) -> Result<Vec<LoraLayer>, LoraError> {
        let damaged = |reason| LoraError::Damaged { name: name.to_owned(), reason };
        let alpha = match self.0.remove(&Role::Alpha) {
            Some((key, tensor)) => Some(number(name, key, tensor)?),
            // In a pickle it may be a plain number.
            None => checkpoint.metadata().get(&format!("{module}.alpha")).and_then(|alpha| alpha.parse().ok()),
        };
        let fixed = self.0.remove(&Role::Scale).map(|(key, tensor)| number(name, key, tensor)).transpose()?;
        let magnitude = match self.0.remove(&Role::Magnitude) {
            Some((key, tensor)) => Some(LoraMagnitude::of(key, tensor).ok_or_else(|| {
                damaged(format!(
                    "'{key}' has the shape {:?}; expected one number for each output or input",
                    tensor.shape()
                ))
            })?),
            None => None,
        };
        let up_bias = self.0.remove(&Role::UpBias);
        let mut updates = Vec::new();
        let mut add = |parameter, update: LoraUpdate, rank: Option<usize>, is_scaled: bool| {
            let scale = match (fixed, alpha, rank) {
                _ if !is_scaled => 1.0,
                (Some(scale), ..) => scale,
                (None, Some(alpha), Some(rank)) => alpha / rank as f64,
                (None, Some(_), None) => 1.0,
                (None, None, rank) => configs.scale(address, rank),
            };
            updates.push((parameter, update, scale));
        };
        if let Some(update) = self.low_rank(&damaged, module)? {
            let rank = update.rank();
            add(LoraParameter::Weight, update, rank, true);
            if let Some((_, bias)) = up_bias {
                add(LoraParameter::Bias, LoraUpdate::Matrix(LoraFactor::Whole(bias.clone())), rank, true);
            }
        } else if let Some((key, _)) = up_bias {
            return Err(damaged(format!("'{key}' has no factors beside it")));
        }
        for (role, parameter) in
            [(Role::Difference, LoraParameter::Weight), (Role::BiasDifference, LoraParameter::Bias)]
        {
            if let Some((_, tensor)) = self.0.remove(&role) {
                add(parameter, LoraUpdate::Matrix(LoraFactor::Whole(tensor.clone())), None, false);
            }
        }
        if magnitude.is_some() && !updates.iter().any(|(parameter, ..)| *parameter == LoraParameter::Weight) {
            return Err(damaged(format!("'{module}' has a magnitude (DoRA) without an update")));
        }
        let layer = |(parameter, update, scale): (LoraParameter, LoraUpdate, f64)| {
            check(name, module, &update, scale)?;
            let magnitude = magnitude.clone().filter(|_| parameter == LoraParameter::Weight);
            Ok(LoraLayer {
                network: address.network,
                module: address.module.clone(),
                parameter,
                update,
                scale,
                magnitude,
            })
        };
        updates.into_iter().map(layer).collect()
    }

    fn take(&mut self, role: Role) -> Option<StoredTensor> {
        self.0.remove(&role).map(|(_, tensor)| tensor.clone())
    }

    /// A product whose left factor lies transposed where there is a core, as LyCORIS has it.
    fn product(&mut self, [left, core, right]: [Role; 3]) -> Option<LoraFactor> {
        let (left, right) = (self.take(left)?, self.take(right)?);
        let core = self.take(core);
        Some(LoraFactor::Product { left, is_left_transposed: core.is_some(), core, right })
    }

    /// The update of low rank.
    fn low_rank(
        &mut self,
        damaged: &impl Fn(String) -> LoraError,
        module: &str,
    ) -> Result<Option<LoraUpdate>, LoraError> {
        const LORA: [Role; 3] = [Role::Down, Role::Up, Role::Mid];
        let has = |parts: &Self, first: Role, last: Role| parts.0.range(first..=last).next().is_some();
        let [is_lora, is_loha, is_lokr] = [
            LORA.iter().any(|role| self.0.contains_key(role)),
            has(self, Role::HadaW1A, Role::HadaT2),
            has(self, Role::LokrW1, Role::LokrT2),
        ];
        if u8::from(is_lora) + u8::from(is_loha) + u8::from(is_lokr) > 1 {
            return Err(damaged(format!("'{module}' has updates of more than one kind")));
        }
        let lacks = || damaged(format!("'{module}' lacks one of its factors"));
        let found = if is_lora {
            let (Some(right), Some(left)) = (self.take(Role::Down), self.take(Role::Up)) else {
                return Err(damaged(format!("'{module}' lacks one of its two factors")));
            };
            let core = self.take(Role::Mid);
            LoraUpdate::Matrix(LoraFactor::Product { left, is_left_transposed: false, core, right })
        } else if is_loha {
            let one = self.product([Role::HadaW1A, Role::HadaT1, Role::HadaW1B]).ok_or_else(lacks)?;
            let other = self.product([Role::HadaW2A, Role::HadaT2, Role::HadaW2B]).ok_or_else(lacks)?;
            LoraUpdate::Hadamard(one, other)
        } else if is_lokr {
            // Where both are whole there is no rank, and alpha means nothing.
            let no_core = Role::Mid;
            let mut matrix = |whole, parts| {
                let whole = self.take(whole).map(LoraFactor::Whole);
                whole.or_else(|| self.product(parts)).ok_or_else(lacks)
            };
            let one = matrix(Role::LokrW1, [Role::LokrW1A, no_core, Role::LokrW1B])?;
            let other = matrix(Role::LokrW2, [Role::LokrW2A, Role::LokrT2, Role::LokrW2B])?;
            LoraUpdate::Kronecker(one, other)
        } else {
            return Ok(None);
        };
        // A whole matrix beside its own factors, or a core without them.
        match self.0.iter().find(|(role, _)| !matches!(role, Role::Difference | Role::BiasDifference)) {
            Some((_, (key, _))) => Err(damaged(format!("'{key}' has no place beside the others"))),
            None => Ok(Some(found)),
        }
    }
}

/// Whether the parts of an update fit together, and hold numbers.
fn check(name: &str, module: &str, update: &LoraUpdate, scale: f64) -> Result<(), LoraError> {
    let damaged = |reason| Err(LoraError::Damaged { name: name.to_owned(), reason });
    let stored = update.stored();
    if update.shape().is_none() {
        let shapes: Vec<String> = stored.iter().map(|tensor| format!("{:?}", tensor.shape())).collect();
        return damaged(format!("the factors of '{module}' have the shapes {}", shapes.join(" and ")));
    }
    if !scale.is_finite() {
        return damaged(format!("the factor of '{module}' is {scale}"));
    }
    Ok(())
}

/// A single number of any type: trainers write alpha as they have it.
fn number(name: &str, key: &str, tensor: &StoredTensor) -> Result<f64, LoraError> {
    if tensor.num_elements() != 1 {
        let reason = format!("'{key}' has the shape {:?}; expected one number", tensor.shape());
        return Err(LoraError::Damaged { name: name.to_owned(), reason });
    }
    let (bytes, mut wide) = (tensor.bytes(), [0; 8]);
    let mut integer = |is_signed: bool| {
        let fill = if is_signed && bytes.last().is_some_and(|byte| byte & 0x80 != 0) { 0xff } else { 0 };
        wide.fill(fill);
        wide[..bytes.len()].copy_from_slice(&bytes);
        wide
    };
    Ok(match tensor.element() {
        ElementType::I64 | ElementType::I32 | ElementType::I16 | ElementType::I8 => {
            i64::from_le_bytes(integer(true)) as f64
        }
        ElementType::U64 | ElementType::U32 | ElementType::U16 | ElementType::U8 => {
            u64::from_le_bytes(integer(false)) as f64
        }
        ElementType::F64 if bytes.len() == 8 => f64::from_le_bytes(integer(false)),
        _ => {
            let read = |cause: io::Error| LoraError::Read { name: name.to_owned(), key: key.to_owned(), cause };
            f64::from(tensor.to_f32().map_err(read)?[0])
        }
    })
}
