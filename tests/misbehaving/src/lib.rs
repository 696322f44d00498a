//! A module of the world `vpcflow:ecs/module` that does what its lines tell it: it traps, loops,
//! takes all memory, or answers with nonsense. Any other line comes back as an event.

use std::cell::RefCell;

use exports::vpcflow::ecs::transform as wit;

wit_bindgen::generate!({ path: "../../wit", world: "module" });

struct Module;

impl wit::Guest for Module {
    type Transformer = Instance;

    fn describe() -> wit::Description {
        wit::Description { schemas: Vec::new(), fields: Vec::new(), vocabularies: Vec::new() }
    }
}

export!(Module);

#[derive(Default)]
struct Instance {
    header: RefCell<Option<String>>,
}

impl wit::GuestTransformer for Instance {
    fn open(options: wit::Options) -> Result<wit::Transformer, wit::OpenError> {
        match options.schema.as_deref() {
            Some("trap") => panic!("asked to"),
            Some("refuse") => Err(wit::OpenError::Other("asked to refuse".into())),
            _ => Ok(wit::Transformer::new(Instance::default())),
        }
    }

    fn transform(&self, input: Vec<u8>, _: wit::Context) -> wit::Batch {
        let mut batch = wit::Batch {
            events: Vec::new(),
            rejects: Vec::new(),
            counts: wit::Counts { lines: 0, events: 0, rejects: 0, skips: 0 },
        };
        for line in String::from_utf8_lossy(&input).lines() {
            match line {
                "trap" => panic!("asked to"),
                "loop" => loop {
                    std::hint::black_box(());
                },
                "memory" => std::mem::forget(std::hint::black_box(vec![1u8; 1 << 30])),
                "nonsense" => batch.rejects.push(wit::Reject {
                    line: 7,
                    offset: u32::MAX,
                    length: u32::MAX,
                    event: None,
                    fault: wit::Fault {
                        reason: wit::Reason::Other("nonsense".into()),
                        column: None,
                        field: None,
                        found: String::new(),
                        wanted: String::new(),
                    },
                }),
                _ if line.starts_with("header ") => *self.header.borrow_mut() = Some(line.into()),
                _ => {
                    let header = self.header.borrow();
                    let event = format!("{}|{line}\n", header.as_deref().unwrap_or_default());
                    batch.events.extend_from_slice(event.as_bytes());
                    batch.counts.events += 1;
                }
            }
            batch.counts.lines += 1;
        }
        batch.counts.rejects = batch.rejects.len() as u64;
        batch.counts.skips = batch.counts.lines - batch.counts.events - batch.counts.rejects;
        batch
    }

    fn header(&self) -> Option<String> {
        self.header.borrow().clone()
    }

    fn set_header(&self, header: Option<String>) {
        *self.header.borrow_mut() = header;
    }

    fn explain(&self, _: Vec<u8>, _: wit::Context) -> Vec<wit::Explanation> {
        panic!("it cannot even explain itself")
    }
}
