//! Metrics, health, logs and the end of `vpcflow pull`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::aws::{Aws, QUEUE, http, terminate, wait_until};
use crate::flow_logs::text;

fn get(address: &str, path: &str) -> String {
    http(address, format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes())
}

#[test]
fn metrics_and_health_are_served_on_loopback() {
    let Some(aws) = Aws::with_queue() else { return };
    aws.put("a.log", text(0, 5).as_bytes());
    aws.put("b.log", text(1, 5).replace(" 443 ", " https ").as_bytes());
    aws.put("excluded.txt", b"");
    let mut command = aws.vpcflow(&["pull", "sqs", "--queue-name", QUEUE, "--wait-time-secs", "1"]);
    command.args(["--exclude", "*.txt", "--output", "out/", "--log-format", "json", "--metrics-listen", "0"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let address = lines
        .find_map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap()["address"].as_str().map(str::to_owned))
        .unwrap();
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let get = |path: &str| get(&address, path);
    wait_until("everything is acknowledged", || {
        let metrics = get("/metrics");
        metrics.contains("vpcflow_lag_seconds_count 4") && metrics.contains("vpcflow_in_flight 0")
    });
    let metrics = get("/metrics");
    for expected in [
        "vpcflow_objects_total{outcome=\"read\"} 2",
        "vpcflow_objects_total{outcome=\"skipped\"} 1",
        "vpcflow_lines_total 12",
        "vpcflow_events_total 5",
        "vpcflow_skips_total 2",
        "vpcflow_rejects_total{reason=\"bad-value\"} 5",
        "vpcflow_in_flight 0",
        "vpcflow_retries_total 0",
        "vpcflow_visibility_extensions_total 0",
        "vpcflow_messages_total{outcome=\"acknowledged\"} 4",
        "vpcflow_transform_seconds_total ",
        "vpcflow_read_bytes_total ",
        "# EOF",
    ] {
        assert!(metrics.contains(expected), "no {expected} in {metrics}");
    }
    assert!(get("/healthz").starts_with("HTTP/1.1 200") && get("/readyz").starts_with("HTTP/1.1 200"));
    assert!(get("/other").starts_with("HTTP/1.1 404"));
    terminate(&child);
    assert!(child.wait().unwrap().success(), "SIGTERM is no failure");
}

#[test]
fn it_is_not_ready_while_the_queue_cannot_be_reached() {
    let Some(aws) = Aws::with_queue() else { return };
    aws.fault(r#"{"sqs_receive_status": 500, "count": 1000}"#);
    let mut command = aws.vpcflow(&["pull", "sqs", "--queue-name", QUEUE, "--metrics-listen", "0"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.find_map(|line| line.unwrap().split_once("address=").map(|(_, rest)| rest.to_owned())).unwrap();
    let get = |path: &str| get(&line, path);
    assert!(get("/readyz").starts_with("HTTP/1.1 503") && get("/healthz").starts_with("HTTP/1.1 200"));
    assert!(lines.any(|line| line.unwrap().contains("the queue cannot be received from")));
    terminate(&child);
    assert!(child.wait().unwrap().success());
}
