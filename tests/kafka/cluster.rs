//! A broker on loopback, in this process: librdkafka's mock cluster, which speaks the real protocol. It keeps 5 MB
//! of a partition, lets a group wait three seconds for its first members, and has no TLS.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::Value;

use crate::aws::told;

pub const TOPIC: &str = "flow-logs";
pub const OUT: &str = "events";
pub const GROUP: &str = "vpcflow";
/// Must not show up anywhere.
pub const SECRET: &str = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY";
const SOON: Duration = Duration::from_secs(120);
/// No command takes longer here.
const DEADLINE: Duration = Duration::from_secs(120);

/// A cluster of one broker, and what the test has for itself.
pub struct Cluster {
    pub mock: MockCluster<'static, DefaultProducerContext>,
    pub folder: tempfile::TempDir,
}

/// A record that was found in a topic.
pub struct Record {
    pub partition: i32,
    pub key: Option<String>,
    pub event: Value,
}

impl Cluster {
    /// With the topic [`TOPIC`] and a file of settings that make a group notice soon who has died.
    pub fn new(partitions: i32) -> Cluster {
        let mock = MockCluster::new(1).unwrap();
        mock.create_topic(TOPIC, partitions, 1).unwrap();
        mock.create_topic(OUT, 4, 1).unwrap();
        let cluster = Cluster { mock, folder: tempfile::tempdir().unwrap() };
        let settings = "session.timeout.ms=6000\nheartbeat.interval.ms=500\nreconnect.backoff.max.ms=500\n";
        cluster.file("kafka.properties", settings);
        cluster
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn file(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    /// Makes each answer of the broker small and slow, so that something can happen in between.
    pub fn slow(&self) {
        let settings = fs::read_to_string(self.path("kafka.properties")).unwrap();
        let limits = "queued.min.messages=1\nfetch.queue.backoff.ms=20\nmax.partition.fetch.bytes=4000\nfetch.max.bytes=16000\nmessage.max.bytes=15000\n";
        self.file("kafka.properties", &(settings + limits));
        self.mock.broker_round_trip_time(-1, Duration::from_millis(30)).unwrap();
    }

    fn config(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.mock.bootstrap_servers()).set_log_level(RDKafkaLogLevel::Emerg);
        config
    }

    /// Produces one value after the other, each in a batch with few others.
    pub fn produce(&self, partition: i32, values: impl IntoIterator<Item = Option<Vec<u8>>>) {
        let producer: BaseProducer = self.config().set("batch.num.messages", "20").create().unwrap();
        for value in values {
            let mut record: BaseRecord<'_, (), [u8]> = BaseRecord::to(TOPIC).partition(partition);
            record.payload = value.as_deref();
            while let Err((_, again)) = producer.send(record) {
                producer.poll(Duration::from_millis(10));
                record = again;
            }
        }
        producer.flush(SOON).unwrap();
    }

    pub fn produce_lines(&self, partition: i32, text: &str) {
        self.produce(partition, text.lines().map(|line| Some(line.as_bytes().to_vec())));
    }

    /// The offsets that the group has committed, by partition; -1 where it has none.
    pub fn committed(&self, partitions: i32) -> Vec<i64> {
        let consumer: BaseConsumer = self.config().set("group.id", GROUP).create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_range(TOPIC, 0, partitions - 1);
        let offsets = consumer.committed_offsets(list, SOON).unwrap();
        let offset = |number| match offsets.find_partition(TOPIC, number).unwrap().offset() {
            Offset::Offset(offset) => offset,
            _ => -1,
        };
        (0..partitions).map(offset).collect()
    }

    /// All records of the topic [`OUT`].
    pub fn records(&self) -> Vec<Record> {
        let mut config = self.config();
        config.set("group.id", "reader").set("enable.partition.eof", "true").set("enable.auto.commit", "false");
        let consumer: BaseConsumer = config.create().unwrap();
        let mut list = TopicPartitionList::new();
        list.add_partition_range(OUT, 0, 3);
        list.set_all_offsets(Offset::Beginning).unwrap();
        consumer.assign(&list).unwrap();
        let (mut records, mut ended, started) = (Vec::new(), 0, Instant::now());
        while ended < 4 {
            assert!(started.elapsed() < SOON, "the topic has no end");
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => records.push(Record {
                    partition: message.partition(),
                    key: message.key().map(|key| String::from_utf8(key.to_vec()).unwrap()),
                    event: serde_json::from_slice(message.payload().unwrap()).unwrap(),
                }),
                Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
                Some(Err(error)) => panic!("{error}"),
                None => {}
            }
        }
        records
    }

    /// `vpcflow pull kafka` from this cluster.
    pub fn pull(&self, arguments: &[&str]) -> Command {
        self.pull_as(GROUP, arguments)
    }

    /// The same as another group.
    pub fn pull_as(&self, group: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vpcflow-under-test"));
        command.args(["pull", "kafka", "--brokers", &self.mock.bootstrap_servers(), "--topic", TOPIC]);
        command.args(["--group", group, "--kafka-config-file", "kafka.properties"]);
        command.args(arguments).current_dir(self.folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The options that make the topic [`OUT`] of this cluster the output.
    pub fn output(&self) -> [String; 4] {
        let brokers = self.mock.bootstrap_servers();
        ["--kafka-output-brokers".into(), brokers, "--kafka-output-topic".into(), OUT.into()]
    }
}

/// What a process tells, which must end in time.
pub fn ended(mut child: Child) -> Output {
    let started = Instant::now();
    // It could not end while nobody reads.
    let streams = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let readers = (thread::spawn(move || read(streams.0)), thread::spawn(move || read(streams.1)));
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if started.elapsed() > DEADLINE {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        thread::sleep(Duration::from_millis(20));
    };
    let (stdout, stderr) = (readers.0.join().unwrap(), readers.1.join().unwrap());
    let Some(status) = status else { panic!("not ended after {DEADLINE:?}: {}", String::from_utf8_lossy(&stderr)) };
    Output { status, stdout, stderr }
}

fn read(mut stream: impl std::io::Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// Runs a command that must succeed, in time.
pub fn run(command: &mut Command) -> Output {
    let output = ended(command.spawn().unwrap());
    assert!(output.status.success(), "{command:?}\n{}", told(&output));
    output
}
