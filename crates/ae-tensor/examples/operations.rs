//! Compares the operations of the networks, and their gradients, on a device with the CPU.
//!
//! ```sh
//! cargo run --release --example operations --features ae-tensor/wgpu -- wgpu:0
//! ```
#![expect(clippy::print_stdout, reason = "an example's result")]

use ae_tensor::{DeviceSpec, Difference, Extent, check_operations};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let spec: DeviceSpec = std::env::args().nth(1).as_deref().unwrap_or("cpu").parse()?;
    for check in check_operations(&spec.open()?, &DeviceSpec::CPU.open()?, Extent::Full) {
        match check.difference {
            Ok(Difference { value, gradient }) => {
                println!("{:<32} {value:8.1e} {gradient:8.1e}  {:.1} s", check.name, check.took.as_secs_f64());
            }
            Err(error) => println!("{:<32} {error}", check.name),
        }
    }
    Ok(())
}
