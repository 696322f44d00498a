//! The same as the command `vpcflow`.

fn main() -> std::process::ExitCode {
    vpcflow::main()
}
