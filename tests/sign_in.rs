//! The ways of signing in, and that nothing secret is told.

use std::fs;
use std::process::Output;

use crate::aws::{Aws, QUEUE, SECRET, succeed, told};
use crate::flow_logs::{assert_all, events, text};

const ROLE: &str = "arn:aws:iam::123456789012:role/vpcflow";
const TOKEN: &str = "eyJhbGciOiJSUzI1NiJ9.secret-token.signature";

#[test]
fn every_way_of_signing_in_reads_the_queue_and_tells_no_secret() {
    let Some(aws) = Aws::with_queue() else { return };
    fs::write(aws.path("token"), TOKEN).unwrap();
    fs::write(
        aws.path("config"),
        format!("[profile collector]\naws_access_key_id = AKIAI44QH8DHBEXAMPLE\naws_secret_access_key = {SECRET}\n"),
    )
    .unwrap();
    type Environment<'a> = &'a [(&'a str, &'a str)];
    let web_identity: Environment =
        &[("AWS_WEB_IDENTITY_TOKEN_FILE", "token"), ("AWS_ROLE_ARN", ROLE), ("AWS_ROLE_SESSION_NAME", "s")];
    // Arguments, what is in the environment, whether that has keys of its own.
    let cases: &[(&[&str], Environment, bool)] = &[
        (&[], &[], true),
        (&["--profile", "collector"], &[("AWS_CONFIG_FILE", "config")], false),
        (&["--role-arn", ROLE], &[], true),
        (&["--role-arn", ROLE, "--external-id", "an-external-id"], &[], true),
        (&["--role-arn", ROLE, "--web-identity-token-file", "token"], &[], false),
        (&[], web_identity, false),
    ];
    for (number, (arguments, environment, has_keys)) in cases.iter().enumerate() {
        aws.put(&format!("{number}.log"), text(number, 5).as_bytes());
        let mut command = aws.pull(&["--output", "out/", "--log-level", "trace"]);
        command.args(*arguments);
        if !has_keys {
            command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY");
        }
        for (name, value) in *environment {
            command.env(name, value);
        }
        tells_no_secret(&succeed(&mut command));
        assert_all(&events(&aws.path("out")), 0..=number, 5);
    }
}

fn tells_no_secret(output: &Output) {
    for secret in [SECRET, "secret-token", "an-external-id"] {
        assert!(!told(output).contains(secret), "{}", told(output));
    }
}

#[test]
fn mistakes_in_signing_in_are_clear_and_tell_no_secret() {
    let Some(aws) = Aws::with_queue() else { return };
    fs::write(aws.path("token"), TOKEN).unwrap();
    let fails = |command: &mut std::process::Command, message: &str| {
        let output = command.output().unwrap();
        tells_no_secret(&output);
        assert_eq!(output.status.code(), Some(2), "{}", told(&output));
        assert!(told(&output).contains(message), "{message}\n{}", told(&output));
    };
    let pull = |arguments: &[&str]| {
        let mut command = aws.vpcflow(&["pull", "sqs", "--log-level", "trace"]);
        command.args(arguments);
        command
    };
    let queue = ["--queue-name", QUEUE];
    fails(&mut pull(&["--queue-name", "nothing-there"]), "--queue-name nothing-there: SQS answers ");
    fails(pull(&queue).env_remove("AWS_REGION").env_remove("AWS_DEFAULT_REGION"), "no region is known: use --region");
    let no_token = ["--role-arn", ROLE, "--web-identity-token-file", "none"];
    fails(pull(&queue).args(no_token), "none cannot be read");
    fails(pull(&queue).args(["--external-id", "an-external-id"]), "--role-arn <ARN>");
    fails(pull(&queue).env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY"), "redential");
    fails(&mut pull(&[]), "<--queue-url <URL>|--queue-name <NAME>>");
}
