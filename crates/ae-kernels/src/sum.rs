use crate::parallel::for_rows;
use crate::profile::{Kernel, counted};

/// The sum of two tensors of one shape.
///
/// # Panics
///
/// When they are not of one size.
pub fn add(a: &[f32], b: &[f32]) -> Vec<f32> {
    assert_eq!(a.len(), b.len(), "add");
    counted(Kernel::Elementwise, 0, || {
        let mut out = a.to_vec();
        for_rows!(&mut out, 1, |first, out| {
            for (out, b) in out.iter_mut().zip(&b[first..]) {
                *out += b;
            }
        });
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;

    #[test]
    fn few_and_many_elements_are_added() {
        for count in [0, 1, 7, 100_003] {
            let (a, b) = (random(count, 1), random(count, 2));
            let expected: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
            assert_eq!(add(&a, &b), expected);
        }
    }
}
