//! Requests made from a seed. Their heads are mostly well formed and close to those of frequent requests.

use crate::http::routes;

/// Random numbers that are the same for the same seed: SplitMix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `limit - 1`.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.number() % limit as u64) as usize
    }

    /// True once in `times` calls, on average.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(super) fn one_of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }
}

const METHODS: [&str; 10] = ["get", "HEAD", "POST", "OPTIONS", "DELETE", "PUT", "GETX", "G@T", "", "GET GET"];

const VERSIONS: [&str; 8] =
    ["HTTP/1.0", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "http/1.1", "HTTP/1.1 ", "", "HTTP/1.1\t"];

/// Endings that make a target odd or malformed.
const ODD_TAILS: [&str; 14] =
    ["#a", "\"", "<b>", "|", "{", "\\", "^", "`", "\u{7f}", "\u{1}", "\u{e9}", "%", "&&", ";a=b"];

const HOSTS: [&str; 10] = [
    "127.0.0.1",
    "localhost:1",
    "LOCALHOST",
    "[::1]",
    "elsewhere.test",
    "",
    "localhost, elsewhere.test",
    "local host",
    "localhost:99999",
    "user@localhost",
];

/// Headers that a request may carry. Some change how the daemon treats the request or the connection.
const HEADERS: [&str; 56] = [
    "Accept: */*",
    "accept-encoding: gzip, br",
    "User-Agent: a client/1.0 (of some kind)",
    "Cookie: a=b; c=d",
    "X-Empty:",
    "X-Tab:\ta\tb\t",
    "x-spaces:    a   b   ",
    "X-Quotes: \"a\" 'b' <c> {d}",
    "x-two: 1",
    "X-Two: 2",
    "X-Latin: \u{e9}\u{fc}",
    "X-Long-Name-That-Nobody-Else-Has-And-That-Goes-On-And-On-For-Quite-A-While: 1",
    "!#$%&'*+-.^_`|~: all that a name may hold",
    "X-Request-Id: mine",
    "Date: Sun, 06 Nov 1994 08:49:37 GMT",
    "Content-Type: application/json",
    "Content-Type: application/octet-stream",
    "Content-Length: 0",
    "content-length: 3",
    "Content-Length: +1",
    "Content-Length: 1, 1",
    "Content-Length: a",
    "Content-Length: 99999999999999999999",
    "Content-Length: 70000",
    "Transfer-Encoding: chunked",
    "transfer-encoding: identity",
    "Transfer-Encoding: gzip, chunked",
    "Connection: keep-alive",
    "connection: Keep-Alive",
    "Connection: close",
    "CONNECTION: CLOSE",
    "Connection: keep-alive, close",
    "Connection: upgrade",
    "Connection:",
    "Keep-Alive: timeout=5",
    "Upgrade: websocket",
    "Upgrade: h2c",
    "Expect: 100-continue",
    "Expect: nothing",
    "TE: trailers",
    "Trailer: x",
    "Origin: http://localhost:3000",
    "Origin: http://elsewhere.test",
    "Origin: null",
    "Origin:",
    "Referer: http://localhost:3000/page",
    "Referer: http://elsewhere.test/page",
    "Sec-Fetch-Site: same-origin",
    "Sec-Fetch-Site: cross-site",
    "Sec-Fetch-Site: none",
    "Sec-Fetch-Mode: cors",
    "Sec-Fetch-Dest: image",
    "Sec-Purpose: prefetch",
    "Access-Control-Request-Method: GET",
    "Authorization: Bearer 00",
    "X-RKE-Request: 1",
];

/// Lines that no head should contain.
const BAD_LINES: [&str; 14] = [
    "Bad Name: x",
    "Host : localhost",
    " folded: x",
    "\tfolded",
    "no colon",
    ": no name",
    "x@y: z",
    "x-nul: a\0b",
    "x-return: a\rb",
    "x-delete: a\u{7f}b",
    "x\u{e9}: y",
    "Content-Length : 3",
    "(x): y",
    "x-bell: \u{7}",
];

/// Whether one of these requests declares a body.
pub(super) fn declares_body(requests: &[u8]) -> bool {
    let text = String::from_utf8_lossy(requests).to_ascii_lowercase();
    text.contains("content-length") || text.contains("transfer-encoding")
}

/// Makes the requests of a connection, one after the other.
pub(super) struct Heads<'a> {
    pub(super) random: &'a mut Random,
    /// Ids of the existing sessions.
    pub(super) sessions: &'a [String],
}

impl Heads<'_> {
    /// The bytes of one request. The body that it declares may be missing.
    pub(super) fn one(&mut self) -> Vec<u8> {
        let line_end = match self.random.below(16) {
            0 => "\n",
            1 if self.random.once_in(4) => "\r",
            _ => "\r\n",
        };
        let mut text = String::new();
        if self.random.once_in(30) {
            text += line_end;
        }
        text += &self.request_line();
        for line in self.header_lines() {
            text = text + line_end + &line;
        }
        text = text + line_end + line_end;
        if text.to_ascii_lowercase().contains("content-length: 3") && !self.random.once_in(8) {
            text += "abc";
        }
        if text.to_ascii_lowercase().contains("transfer-encoding: chunked") && !self.random.once_in(8) {
            text += "3\r\nabc\r\n0\r\n\r\n";
        }
        // Each character is one byte, including those that UTF-8 would encode as two.
        text.chars().map(|character| character as u8).collect()
    }

    fn request_line(&mut self) -> String {
        let method = if self.random.once_in(12) { self.random.one_of(&METHODS) } else { "GET" };
        let version = if self.random.once_in(12) { self.random.one_of(&VERSIONS) } else { "HTTP/1.1" };
        let target = self.target();
        let space = if self.random.once_in(60) { "  " } else { " " };
        format!("{method}{space}{target} {version}")
    }

    fn target(&mut self) -> String {
        let mut target = match self.random.below(16) {
            0 => routes::LIVE.path.into(),
            1 => routes::SHOW.with_id(self.session()),
            2 => "/nowhere".into(),
            3..=6 => self.decryption(),
            7..=10 => format!("{}?session_id={}", routes::DELETE.path, self.session()),
            _ => {
                format!("{}?session_id={}&plaintext={}", routes::ENCRYPT.path, self.session(), self.base64())
            }
        };
        match self.random.below(40) {
            0 => target = target.replace('?', "/?"),
            1 => target = format!("/{target}"),
            2 => target = target.replacen("/api", "/%61pi", 1),
            3 => target = target.to_uppercase(),
            4 => target = format!("http://localhost{target}"),
            5 => target = format!("http://elsewhere.test{target}"),
            6 => target = target.replace('?', ""),
            7 => target = target.split('?').next().unwrap_or_default().into(),
            8 => target += &format!("&session_id={}", self.session()),
            9 => {
                target +=
                    self.random.one_of(&["&forget=false", "&verify=no", "&everywhere=maybe", "&", "?", "&x"])
            }
            10 => target = target.replace("session_id", "session%5Fid"),
            11 => target.truncate(self.random.below(target.len())),
            12 => target += &"a".repeat(self.random.one_of(&[&100, &9_000, &49_000, &66_000]).to_owned()),
            13..=17 => target += self.random.one_of(&ODD_TAILS),
            18 => target = "*".into(),
            _ => (),
        }
        target
    }

    fn decryption(&mut self) -> String {
        let (path, session, data) = (routes::DECRYPT.path, self.session(), self.base64());
        let nonce = self.random.one_of(&[
            "00112233445566778899aabbccddeeff",
            "00112233445566778899aabbccddeeff",
            "AAAA",
            "",
        ]);
        format!("{path}?session_id={session}&ciphertext={data}&nonce={nonce}")
    }

    fn session(&mut self) -> String {
        let known = self.sessions[self.random.below(self.sessions.len())].clone();
        match self.random.below(16) {
            0 => "0".repeat(32),
            1 => known.to_uppercase(),
            2 => known[1..].into(),
            3 => self.random.one_of(&["", "x", "%00", "%ff", "+", "\u{e9}"]).into(),
            4 if self.random.once_in(4) => "a".repeat(65),
            _ => known,
        }
    }

    fn base64(&mut self) -> &'static str {
        self.random.one_of(&[
            "YQ==",
            "YWJj",
            "YWI%3D",
            "YQ",
            "",
            "%",
            "Y Q==",
            "+/+/",
            "%2B%2f",
            "AAAA\u{e9}",
        ])
    }

    fn header_lines(&mut self) -> Vec<String> {
        let host = if self.random.once_in(12) { self.random.one_of(&HOSTS) } else { "localhost" };
        let name = self.random.one_of(&["Host", "Host", "host", "HOST"]);
        let mut lines = vec![format!("{name}: {host}")];
        match self.random.below(60) {
            0 => lines.clear(),
            1 => lines.push("Host: localhost".into()),
            2 => lines.extend(
                (0..[30, 31, 32, 33, 63, 64, 65, 101][self.random.below(8)]).map(|at| format!("x-{at}: y")),
            ),
            3 => lines.push(format!("x-large: {}", "y".repeat([9_000, 16_500][self.random.below(2)]))),
            _ => (),
        }
        for _ in 0..self.random.below(3) {
            lines.push(self.random.one_of(&HEADERS).into());
        }
        if self.random.once_in(3) {
            lines.push(self.random.one_of(&HEADERS).into());
        }
        if self.random.once_in(20) {
            let at = self.random.below(lines.len() + 1);
            lines.insert(at, self.random.one_of(&BAD_LINES).into());
        }
        if self.random.once_in(10) {
            lines = lines.into_iter().map(|line| line.replacen(": ", ":", 1)).collect();
        }
        lines
    }
}
