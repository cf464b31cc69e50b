use std::collections::BTreeMap;

use burn::tensor::Tensor;

/// What an objective remembers of the images of a pass: tensors by name, whose first axis is the images.
///
/// It begins empty with each run. Nothing in it carries a gradient.
#[derive(Debug)]
pub struct State<'a> {
    memories: &'a mut [Memory],
    /// The images of the pass.
    images: &'a [usize],
    /// Of the names, where the objective is a part of another.
    prefix: String,
}

/// The tensors of one image, `[1, ..]`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Memory {
    now: Tensors,
    before: Tensors,
}

type Tensors = BTreeMap<String, Tensor<4>>;

impl<'a> State<'a> {
    pub(crate) fn new(memories: &'a mut [Memory], images: &'a [usize]) -> Self {
        Self { memories, images, prefix: String::new() }
    }

    /// What [`set`](Self::set) was given last under this name; none unless every image of the pass has it.
    ///
    /// # Shapes
    /// - output: `[images, _, _, _]`
    pub fn get(&self, name: &str) -> Option<Tensor<4>> {
        self.gather(name, |memory| &memory.now)
    }

    /// As [`get`](Self::get), as it was when the previous guided denoising step ended.
    pub fn previous_step(&self, name: &str) -> Option<Tensor<4>> {
        self.gather(name, |memory| &memory.before)
    }

    /// Remembers a tensor of the images of the pass, without its gradient.
    ///
    /// # Shapes
    /// - tensor: `[images, _, _, _]`
    ///
    /// # Panics
    ///
    /// When the first axis is not the images of the pass.
    pub fn set(&mut self, name: &str, tensor: Tensor<4>) {
        assert_eq!(tensor.dims()[0], self.images.len(), "the state '{name}' must have one entry for each image");
        for (&image, tensor) in self.images.iter().zip(tensor.without_autodiff().split(1, 0)) {
            self.memories[image].now.insert(format!("{}{name}", self.prefix), tensor);
        }
    }

    pub(crate) fn part(&mut self, name: &str) -> State<'_> {
        State { memories: self.memories, images: self.images, prefix: format!("{}{name}/", self.prefix) }
    }

    fn gather(&self, name: &str, when: impl Fn(&Memory) -> &Tensors) -> Option<Tensor<4>> {
        let name = format!("{}{name}", self.prefix);
        let find = |&image: &usize| when(&self.memories[image]).get(&name).cloned();
        let tensors: Option<Vec<_>> = self.images.iter().map(find).collect();
        tensors.map(|tensors| Tensor::cat(tensors, 0))
    }
}

impl Memory {
    pub(crate) fn begin_step(&mut self) {
        self.before.clone_from(&self.now);
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};

    use super::*;

    fn tensor(values: &[f32]) -> Tensor<4> {
        Tensor::from_data(TensorData::new(values.to_vec(), [values.len(), 1, 1, 1]), &Device::flex())
    }

    fn values(tensor: Option<Tensor<4>>) -> Option<Vec<f32>> {
        tensor.map(|tensor| tensor.into_data().try_into_vec_as().unwrap())
    }

    #[test]
    fn images_keep_their_own_state_when_a_pass_has_only_some_of_them() {
        let mut memories = vec![Memory::default(); 3];
        let mut all = State::new(&mut memories, &[0, 1, 2]);
        assert!(all.get("peak").is_none());
        all.set("peak", tensor(&[1.0, 2.0, 3.0]));
        let mut some = State::new(&mut memories, &[0, 2]);
        assert_eq!(values(some.get("peak")), Some(vec![1.0, 3.0]));
        some.set("peak", tensor(&[10.0, 30.0]));
        some.set("late", tensor(&[5.0, 6.0]));
        let all = State::new(&mut memories, &[0, 1, 2]);
        assert_eq!(values(all.get("peak")), Some(vec![10.0, 2.0, 30.0]));
        assert!(all.get("late").is_none(), "the second image has none");
    }

    #[test]
    fn the_previous_step_is_kept_apart() {
        let mut memories = vec![Memory::default()];
        State::new(&mut memories, &[0]).set("map", tensor(&[1.0]));
        assert!(State::new(&mut memories, &[0]).previous_step("map").is_none());
        memories[0].begin_step();
        for value in [2.0, 3.0] {
            State::new(&mut memories, &[0]).set("map", tensor(&[value]));
        }
        let state = State::new(&mut memories, &[0]);
        assert_eq!((values(state.previous_step("map")), values(state.get("map"))), (Some(vec![1.0]), Some(vec![3.0])));
    }

    #[test]
    fn nothing_remembered_carries_a_gradient() {
        let mut memories = vec![Memory::default()];
        let tracked = tensor(&[1.0]).autodiff().require_grad();
        State::new(&mut memories, &[0]).set("map", tracked * 2.0);
        let remembered = State::new(&mut memories, &[0]).get("map").unwrap();
        assert!(!remembered.device().is_autodiff());
    }
}
