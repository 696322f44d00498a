//! AWS on loopback: moto's server (`aws/server.py`) and the `aws` command, in a virtual environment
//! of Python that the tests make themselves.

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::environment;

/// A bucket that announces its objects in a queue, which moves a message away at the third receipt.
pub const BUCKET: &str = "flow-logs";
pub const QUEUE: &str = "vpcflow";
pub const DEAD_LETTERS: &str = "vpcflow-dead-letters";

/// A server of one test's own, which ends with it.
pub struct Aws {
    server: Child,
    pub endpoint: String,
    /// For whatever the test makes.
    pub folder: tempfile::TempDir,
}

impl Aws {
    /// Starts a server without anything in it; `None` where there is no Python for it.
    pub fn start() -> Option<Aws> {
        let python = environment()?.join("bin/python");
        let folder = tempfile::tempdir().unwrap();
        let mut server = Command::new(python)
            .arg(here().join("aws/server.py"))
            .args(["--port", "0", "--journal"])
            .arg(folder.path().join("journal.ndjson"))
            .arg("--watch")
            .arg(folder.path().join("out"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let endpoint = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        fs::create_dir(folder.path().join("out")).unwrap();
        Some(Aws { server, endpoint, folder })
    }

    /// The same with bucket and queues.
    pub fn with_queue() -> Option<Aws> {
        let aws = Aws::start()?;
        let location =
            "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
        aws.request("PUT", &format!("/{BUCKET}"), "s3", "", location.as_bytes());
        aws.sqs("CreateQueue", json!({"QueueName": DEAD_LETTERS}));
        aws.sqs("CreateQueue", json!({"QueueName": QUEUE}));
        aws.set_max_receive_count(3);
        let notification = format!(
            "<NotificationConfiguration><QueueConfiguration><Event>s3:ObjectCreated:*</Event>\
             <Queue>arn:aws:sqs:eu-west-1:123456789012:{QUEUE}</Queue></QueueConfiguration></NotificationConfiguration>"
        );
        aws.request("PUT", &format!("/{BUCKET}?notification"), "s3", "", notification.as_bytes());
        Some(aws)
    }

    /// From which receipt on a message goes to the dead letters.
    pub fn set_max_receive_count(&self, count: u32) {
        let dead_letters = format!("arn:aws:sqs:eu-west-1:123456789012:{DEAD_LETTERS}");
        let policy = json!({"maxReceiveCount": count, "deadLetterTargetArn": dead_letters}).to_string();
        self.sqs("SetQueueAttributes", json!({"QueueUrl": self.url(QUEUE), "Attributes": {"RedrivePolicy": policy}}));
    }

    fn url(&self, queue: &str) -> String {
        format!("{}/123456789012/{queue}", self.endpoint)
    }

    /// Asks SQS for something.
    pub fn sqs(&self, action: &str, parameters: Value) -> Value {
        self.json("sqs", &format!("AmazonSQS.{action}"), parameters)
    }

    /// Asks a service that speaks JSON for something.
    pub fn json(&self, service: &str, target: &str, parameters: Value) -> Value {
        let headers = format!("X-Amz-Target: {target}\r\nContent-Type: application/x-amz-json-1.1\r\n");
        let answer = self.request("POST", "/", service, &headers, parameters.to_string().as_bytes());
        serde_json::from_str(&answer).unwrap_or_default()
    }

    /// Sends a request, which must succeed, and gives the answer's body. The server looks only for the
    /// service in the signature.
    fn request(&self, method: &str, path: &str, service: &str, headers: &str, body: &[u8]) -> String {
        let address = self.endpoint.strip_prefix("http://").unwrap();
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\
             Authorization: AWS4-HMAC-SHA256 Credential=x/20240905/eu-west-1/{service}/aws4_request, \
             SignedHeaders=host, Signature=x\r\n\r\n"
        );
        let answer = http(address, &[head.as_bytes(), body].concat());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 20"), "{method} {path}: {answer}");
        body.to_owned()
    }

    /// What the tests have for themselves, below which the server watches `out`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The command, signed in to this server.
    pub fn vpcflow(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vpcflow-under-test"));
        command.args(arguments).current_dir(self.folder.path());
        self.sign_in(&mut command);
        command
    }

    /// `vpcflow pull sqs` that ends when the queue is empty.
    pub fn pull(&self, arguments: &[&str]) -> Command {
        let mut command = self.vpcflow(&["pull", "sqs", "--queue-name", QUEUE, "--until-empty"]);
        command.args(["--wait-time-secs", "1", "--retry-delay-secs", "0"]).args(arguments);
        command
    }

    /// Runs a script with `aws` and `vpcflow` in its path; it must succeed. Gives its standard output.
    pub fn shell(&self, script: &str) -> String {
        let bin = self.path("bin");
        if !bin.exists() {
            fs::create_dir(&bin).unwrap();
            std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_vpcflow-under-test"), bin.join("vpcflow")).unwrap();
            // By itself it takes the endpoint from the environment for some services and not for SQS.
            let aws = environment().unwrap().join("bin/aws");
            let text = format!("#!/bin/sh\nexec '{}' --endpoint-url {} \"$@\"\n", aws.display(), self.endpoint);
            fs::write(bin.join("aws"), text).unwrap();
            fs::set_permissions(bin.join("aws"), Permissions::from_mode(0o755)).unwrap();
        }
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        let mut command = Command::new("bash");
        command.args(["-euc", script]).env("PATH", path).current_dir(self.folder.path());
        self.sign_in(&mut command);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{script}\n{}", told(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    fn sign_in(&self, command: &mut Command) {
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
            command.env_remove(name);
        }
        command
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_REGION", "eu-west-1")
            .env("AWS_DEFAULT_REGION", "eu-west-1")
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            // Whatever the person who runs the tests has there.
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_EC2_METADATA_DISABLED", "true");
    }

    /// Puts all files below the folder `name` of this test into the bucket.
    pub fn upload(&self, name: &str) {
        self.shell(&format!("aws s3 cp --recursive --only-show-errors {name} s3://{BUCKET}/"));
    }

    /// Puts one object into the bucket; its key needs no encoding.
    pub fn put(&self, key: &str, bytes: &[u8]) {
        self.request("PUT", &format!("/{BUCKET}/{key}"), "s3", "", bytes);
    }

    /// Takes one object away.
    pub fn remove(&self, key: &str) {
        self.request("DELETE", &format!("/{BUCKET}/{key}"), "s3", "", b"");
    }

    /// The messages in a queue that can be seen, and those that are being worked on.
    pub fn messages(&self, queue: &str) -> (u64, u64) {
        let answer = self.sqs("GetQueueAttributes", json!({"QueueUrl": self.url(queue), "AttributeNames": ["All"]}));
        let number = |name: &str| answer["Attributes"][name].as_str().unwrap().parse().unwrap();
        (number("ApproximateNumberOfMessages"), number("ApproximateNumberOfMessagesNotVisible"))
    }

    /// Sends a message by hand.
    pub fn send(&self, body: &str) {
        self.sqs("SendMessage", json!({"QueueUrl": self.url(QUEUE), "MessageBody": body}));
    }

    /// Takes all messages away.
    pub fn purge(&self) {
        self.sqs("PurgeQueue", json!({"QueueUrl": self.url(QUEUE)}));
    }

    /// Asks the server for faults; see `aws/server.py`.
    pub fn fault(&self, fault: &str) {
        self.request("POST", "/faults", "s3", "Content-Type: application/json\r\n", fault.as_bytes());
    }

    /// What the server has written down of each deleted message.
    pub fn journal(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("journal.ndjson")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Aws {
    fn drop(&mut self) {
        // It ends with its standard input.
        drop(self.server.stdin.take());
        let _ = self.server.wait();
    }
}

/// Must not show up anywhere.
pub const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// Sends a request as it stands, and gives all of the answer.
pub fn http(address: &str, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Runs a command that must succeed.
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}\n{}", told(&output));
    output
}

/// Both outputs of a process, for a person.
pub fn told(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Sends SIGTERM.
pub fn terminate(child: &Child) {
    succeed(Command::new("kill").arg(child.id().to_string()));
}

/// SIGKILL.
pub fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Waits until something is so, but not for ever.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(300);
    while !is_so() {
        assert!(Instant::now() < deadline, "not so after five minutes: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

pub fn here() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A virtual environment with `aws/requirements.txt`.
pub fn environment() -> Option<&'static Path> {
    static ENVIRONMENT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let make =
        || environment::python("aws-environment", &here().join("aws/requirements.txt"), "every test that needs AWS");
    ENVIRONMENT.get_or_init(make).as_deref()
}
