//! A scripted editor: it speaks the Language Server Protocol with `fewbits lsp` over pipes.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::fixture::Bench;

/// An editor with one text open.
pub struct Editor {
    pub process: Child,
    pub to: ChildStdin,
    pub from: Receiver<Json>,
    pub uri: String,
    pub asked: i64,
    pub version: i64,
    pub text: String,
}

impl Editor {
    pub fn open(bench: &Bench, encodings: &[&str], text: &str) -> Self {
        let mut command = bench.command(["lsp"]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a server");
        let (to, from) = (process.stdin.take().expect("input"), process.stdout.take().expect("output"));
        let uri = format!("file://{}", bench.path("x.ron").display());
        let mut editor =
            Self { process, to, from: messages(from), uri, asked: 0, version: 1, text: text.to_owned() };
        let capabilities = json!({
            "general": { "positionEncodings": encodings },
            "workspace": { "inlayHint": { "refreshSupport": true } },
            "textDocument": { "completion": { "completionItem": { "snippetSupport": true } } },
        });
        let told = editor
            .ask("initialize", &json!({ "processId": null, "rootUri": null, "capabilities": capabilities }));
        let expected = if encodings.contains(&"utf-8") { "utf-8" } else { "utf-16" };
        assert_eq!(told["capabilities"]["positionEncoding"], expected);
        editor.tell("initialized", &json!({}));
        let document = json!({ "uri": editor.uri, "languageId": "ron", "version": 1, "text": text });
        editor.tell("textDocument/didOpen", &json!({ "textDocument": document }));
        editor
    }

    pub fn send(&mut self, message: &Json) {
        let text = message.to_string();
        write!(self.to, "Content-Length: {}\r\n\r\n{text}", text.len()).expect("a server that listens");
        self.to.flush().expect("a server that listens");
    }

    pub fn receive(&mut self) -> Json {
        self.from.recv_timeout(Duration::from_mins(1)).expect("a message within a minute")
    }

    pub fn tell(&mut self, method: &str, params: &Json) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    pub fn answer(&mut self, method: &str, params: &Json) -> Json {
        self.asked += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": self.asked, "method": method, "params": params }));
        loop {
            let told = self.receive();
            // A message with a method is a request of the server.
            if told["id"] == self.asked && told["method"].is_null() {
                return told;
            }
        }
    }

    pub fn ask(&mut self, method: &str, params: &Json) -> Json {
        let answer = self.answer(method, params);
        assert!(answer["error"].is_null(), "{answer}");
        answer["result"].clone()
    }

    /// Asks about the place of a text, `back` bytes before its end.
    pub fn ask_at(&mut self, method: &str, text: &str, back: usize, more: &Json) -> Json {
        let at = self.text.find(text).unwrap_or_else(|| panic!("{text}")) + text.len() - back;
        let before = &self.text[..at];
        let character = before.rsplit('\n').next().unwrap_or_default().encode_utf16().count();
        let position = json!({ "line": before.matches('\n').count(), "character": character });
        let mut params = json!({ "textDocument": { "uri": self.uri }, "position": position });
        for (name, value) in more.as_object().into_iter().flatten() {
            params[name] = value.clone();
        }
        self.ask(method, &params)
    }

    /// Returns the faults of the version.
    pub fn faults(&mut self) -> Vec<Json> {
        loop {
            let told = self.receive();
            if told["method"] == "textDocument/publishDiagnostics"
                && told["params"]["version"] == self.version
            {
                return told["params"]["diagnostics"].as_array().expect("faults").clone();
            }
        }
    }

    /// Returns the number of tasks behind each node.
    pub fn counts(&mut self) -> Vec<String> {
        let [start, end] = [0, 99].map(|line| json!({ "line": line, "character": 0 }));
        let params = json!({ "textDocument": { "uri": self.uri }, "range": { "start": start, "end": end } });
        let hints = self.ask("textDocument/inlayHint", &params);
        let hints = hints.as_array().expect("hints");
        hints.iter().map(|hint| hint["label"].as_str().expect("a text").to_owned()).collect()
    }

    pub fn change(&mut self, changes: &Json) {
        self.version += 1;
        let document = json!({ "uri": self.uri, "version": self.version });
        self.tell("textDocument/didChange", &json!({ "textDocument": document, "contentChanges": changes }));
    }

    pub fn replace(&mut self, text: &str) -> Vec<Json> {
        text.clone_into(&mut self.text);
        self.change(&json!([{ "text": text }]));
        self.faults()
    }

    pub fn close(mut self) {
        self.ask("shutdown", &Json::Null);
        self.tell("exit", &Json::Null);
        assert_eq!(self.process.wait().expect("an end").code(), Some(0));
    }
}

/// Reads the messages of a server.
fn messages(from: impl Read + Send + 'static) -> Receiver<Json> {
    let (send, messages) = channel();
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        loop {
            let mut length = 0;
            loop {
                let mut line = String::new();
                if from.read_line(&mut line).expect("a header") == 0 {
                    return;
                }
                match line.trim().split_once(": ") {
                    Some((_, value)) => length = value.parse().expect("a length"),
                    None => break,
                }
            }
            let mut bytes = vec![0; length];
            from.read_exact(&mut bytes).expect("a message");
            if send.send(serde_json::from_slice(&bytes).expect("JSON")).is_err() {
                return;
            }
        }
    });
    messages
}
