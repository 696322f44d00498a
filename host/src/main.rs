//! The command `vpcflow`.

fn main() -> std::process::ExitCode {
    vpcflow::main()
}
