//! A response that holds a secret, read into memory that the caller wipes. hyper would leave copies of it.

use std::ops::Range;

use httparse::EMPTY_HEADER;
use hyper::header::HeaderMap;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{Client, Raw};
use crate::connection::{connect, headers_of};
use crate::{Call, Error};

/// More headers than a daemon sends.
const MOST_HEADERS: usize = 64;

impl Client {
    /// Sends a request and reads the response into `room`, whose bytes go nowhere else. Returns where in it the body is.
    ///
    /// # Errors
    /// [`Error`]; then `room` may hold parts of a response all the same.
    pub async fn ask_in_place<T>(&self, call: &Call<T>, room: &mut [u8]) -> Result<Range<usize>, Error> {
        self.in_time(self.exchange(call, room)).await
    }

    async fn exchange<T>(&self, call: &Call<T>, room: &mut [u8]) -> Result<Range<usize>, Error> {
        let no_daemon = |error: std::io::Error| Error::NoDaemon {
            address: self.address.clone(),
            reason: error.to_string(),
        };
        let (mut stream, host) = connect(&self.address).await.map_err(no_daemon)?;
        let request = request(call, &headers_of(self, host)?);
        stream.write_all(&request).await.map_err(no_daemon)?;
        let mut len = 0;
        loop {
            match stream.read(&mut room[len..]).await {
                Ok(0) if len == room.len() => return Err(self.not_understood("a response that is too long")),
                Ok(0) => break,
                Ok(read) => len += read,
                Err(error) => return Err(Error::CutShort { reason: error.to_string() }),
            }
        }
        self.body_of(&room[..len])
    }

    /// Where the body of a successful response is.
    fn body_of(&self, response: &[u8]) -> Result<Range<usize>, Error> {
        let mut headers = [EMPTY_HEADER; MOST_HEADERS];
        let mut head = httparse::Response::new(&mut headers);
        let Ok(httparse::Status::Complete(head_len)) = head.parse(response) else {
            return Err(self.not_understood("a response without a head"));
        };
        let body = head_len..response.len();
        let status = head.code.ok_or_else(|| self.not_understood("a response without a status"))?;
        let length = head.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let length = length.and_then(|length| std::str::from_utf8(length.value).ok()?.parse::<usize>().ok());
        match length {
            Some(len) if len != body.len() => {
                Err(Error::CutShort { reason: "the body is incomplete".into() })
            }
            None => Err(self.not_understood("a response without a length")),
            Some(_) if status == 200 => Ok(body),
            Some(_) => {
                let text = String::from_utf8_lossy(&response[body]).into_owned();
                Err(self.refused(Raw { status, text, retry_after: None }))
            }
        }
    }
}

fn request<T>(call: &Call<T>, headers: &HeaderMap) -> Vec<u8> {
    let body = call.body.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut request = format!("{} {} HTTP/1.1\r\n", call.method, call.target).into_bytes();
    for (name, value) in headers {
        request.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    let rest = format!(
        "connection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    request.extend(rest.into_bytes());
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_success_has_a_body() {
        let client = Client::new("127.0.0.1:1");
        let of = |text: &str| client.body_of(text.as_bytes());
        assert_eq!(of("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}").ok(), Some(38..40));
        for cut in [
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}",
            "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n{}",
        ] {
            assert!(matches!(of(cut), Err(Error::CutShort { .. })), "{cut}");
        }
        for other in
            ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\n\r\n{}", "x\r\ncontent-length: 0\r\n\r\n"]
        {
            assert!(matches!(of(other), Err(Error::NotUnderstood { .. })), "{other}");
        }
        let refusal = r#"{"error":true,"message":"no","code":403}"#;
        let refused = of(&format!("HTTP/1.1 403 No\r\ncontent-length: {}\r\n\r\n{refusal}", refusal.len()));
        assert!(matches!(refused, Err(Error::NotAllowed(_))), "{refused:?}");
    }
}
