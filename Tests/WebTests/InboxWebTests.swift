import Kernel
import TestSupport
import Testing

@testable import Web

/// The inbox at the staff listener: the stream, forms, the API, and what Slack may not reach.
@Suite struct InboxWebTests {
    @Test func `a stream is for a session, and ends with it`() async throws {
        try await Loopback.run { loopback in
            for path in ["/events", "/events/now"] {
                let refused = try await loopback.send("GET", path)
                #expect(refused.status == 401 && refused.problem == "sign-in-required", "\(path)")
            }
            let token = loopback.door.token("ann", permissions: [])
            let now = try await loopback.page("/events/now", token: token)
            #expect(now.status == 200 && now.json["unread"] == 0 && now.json["session"]?.string == "ses_ann_1")
            // The door's sessions are in no table, so the watcher finds that this one is over.
            let stream = try await loopback.page("/events", token: token)
            #expect(stream.status == 200)
            #expect(stream["Content-Type"] == "text/event-stream; charset=utf-8")
            #expect(stream["Cache-Control"] == "no-store, no-transform")
            #expect(
                stream.text
                    == "retry: 2000\n\nevent: unread\ndata: {\"session\":\"ses_ann_1\",\"unread\":0}\n\nevent: end\ndata: {}\n\n"
            )
        }
    }

    @Test func `a server without room for streams says when to ask again`() async throws {
        let none: (inout WebConfiguration) -> Void = { $0.streams = 0 }
        try await Loopback.run(.sqlite, none) { loopback in
            let token = loopback.door.token("ann", permissions: [])
            let full = try await loopback.page("/events", token: token)
            #expect(full.status == 429 && full["Retry-After"] == "60")
            #expect(try await loopback.page("/events/now", token: token).status == 200)
        }
    }

    @Test func `reading is posted from the console’s own pages, and reaches one’s own notices`() async throws {
        try await Loopback.run { loopback in
            let token = loopback.door.token("ann", permissions: [])
            let page = try await loopback.page("/inbox", token: token)
            #expect(page.status == 200 && page.text.contains("You have read everything"))
            #expect(page.text.contains("data-inbox=\"ses_ann_1\"") && page.text.contains("/assets/stream.js?v="))
            let csrf = try #require(page.field("csrf"))
            #expect(try await loopback.post("/inbox/read-all", token: token, ["until": "1"]).status == 403)
            #expect(
                try await loopback.post("/inbox/read-all", token: token, site: "cross-site", ["csrf": csrf]).status
                    == 403)
            #expect(try await loopback.post("/inbox/read-all", token: token, ["csrf": csrf]).status == 400)
            let done = try await loopback.post("/inbox/read-all", token: token, ["csrf": csrf, "until": "1"])
            #expect(done.status == 303 && done["Location"] == "/inbox")
            let unknown = try await loopback.post("/inbox/ntc_x/read", token: token, ["csrf": csrf])
            #expect(unknown.status == 404 && unknown.text.contains("no such notice"))

            #expect(try await loopback.api("GET", "/inbox", token: token).json["items"]?.array?.isEmpty == true)
            #expect(try await loopback.api("POST", "/inbox/ntc_x/read", token: token).status == 404)
            let wrong = try await loopback.api("POST", "/inbox/read", token: token, ["until": "yesterday"])
            #expect(wrong.status == 422 && wrong.pointers == ["/until"])
            let read = try await loopback.api(
                "POST", "/inbox/read", token: token, ["until": "2026-11-27T09:00:00Z"])
            #expect(read.status == 200 && read.json["read"] == 0)
        }
    }

    @Test func `where Slack is not set up, nothing of it is there`() async throws {
        try await Loopback.run { loopback in
            for path in SlackRoutes.paths {
                let answer = try await loopback.send("POST", path, body: Array("text=help".utf8))
                #expect(answer.status == 404, "\(path)")
            }
            let token = loopback.door.token("ann", permissions: [])
            let page = try await loopback.page("/slack/link?token=x", token: token)
            #expect(page.status == 404)
        }
    }
}
