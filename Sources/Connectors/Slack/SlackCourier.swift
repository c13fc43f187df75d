import AsyncHTTPClient
import Foundation
import Kernel
import NIOCore

/// Posts messages into the staff channel, by an incoming webhook or as a bot. The address and the token come from the
/// operator and are in no database, log or note.
public struct SlackCourier: Courier {
    public enum Door: Sendable {
        /// An incoming webhook: its address is the secret, and it leads to one channel.
        case webhook(url: String)
        /// `chat.postMessage` with a bot's token.
        /// - Parameter api: where Slack's methods are, without a slash at the end.
        case bot(token: String, channel: String, api: String)
    }

    private let door: Door
    private let timeout: Span
    private let clock: Clock

    public init(_ door: Door, timeout: Span = .seconds(10), clock: Clock = .system) {
        self.door = door
        self.timeout = timeout
        self.clock = clock
    }

    /// One host, named by the operator: its connections are kept open and used again.
    private static let client: HTTPClient = {
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.httpVersion = .http1Only
        return HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    }()
    /// Far more than Slack answers.
    private static let mostBytes = 64 * 1024

    public func deliver(_ parcel: Parcel) async -> SendOutcome {
        guard case .object(var message)? = try? JSON(parsing: parcel.body) else {
            return .refused(status: nil, note: "There is nothing to tell any more")
        }
        let address: String
        switch door {
        case .webhook(let url): address = url
        case .bot(_, let channel, let api):
            address = "\(api)/\(parcel.url.isEmpty ? "chat.postMessage" : parcel.url)"
            message["channel"] = .string(channel)
            // A message that is changed was posted so.
            if parcel.url.isEmpty {
                message["unfurl_links"] = false
                message["unfurl_media"] = false
            }
        }
        do {
            return outcome(try await post(.object(message), to: address))
        } catch {
            return Task.isCancelled ? .interrupted : .failed(status: nil, note: note(error))
        }
    }

    /// Why nothing would arrive; `nil` when Slack knows the token or the webhook. Posts nothing.
    public func problem() async -> String? {
        do {
            switch door {
            case .webhook(let url):
                // A message without a text is refused after the address was looked at.
                let answer = try await post([:], to: url)
                if answer.status == 400 || answer.status == 200 { return nil }
                return sentence(outcome(answer))
            case .bot(_, _, let api): return sentence(outcome(try await post([:], to: api + "/auth.test")))
            }
        } catch {
            return note(error) + "."
        }
    }

    private func sentence(_ outcome: SendOutcome) -> String? {
        switch outcome {
        case .failed(_, let note, _), .refused(_, let note): note + "."
        default: nil
        }
    }

    private struct Answer {
        let status: Int64
        let text: String
        let retryAfter: Span?
    }

    private func post(_ message: JSON, to address: String) async throws -> Answer {
        var request = HTTPClientRequest(url: address)
        request.method = .POST
        request.headers.add(name: "content-type", value: "application/json; charset=utf-8")
        request.headers.add(name: "user-agent", value: "Postern")
        if case .bot(let token, _, _) = door {
            request.headers.add(name: "authorization", value: "Bearer \(token)")
        }
        request.body = .bytes(message.canonical)
        let response = try await Self.client.execute(request, timeout: .microseconds(timeout.microseconds))
        let body = try await response.body.collect(upTo: Self.mostBytes)
        return Answer(
            status: Int64(response.status.code), text: String(buffer: body),
            retryAfter: RetryAfter.span(response.headers.first(name: "retry-after"), at: clock.now))
    }

    /// What Slack says of a message that no later attempt would make right.
    private static let final: Set<String> = [
        "invalid_blocks", "invalid_blocks_format", "invalid_payload", "invalid_arguments", "invalid_arg_name",
        "invalid_json", "json_not_object", "msg_too_long", "msg_blocks_too_long", "no_text", "too_many_attachments",
        "cant_update_message", "edit_window_closed", "message_not_found",
    ]

    /// What Slack says when the operator, or time, may make it right.
    private static let mendable: Set<String> = [
        "account_inactive", "action_prohibited", "channel_is_archived", "channel_not_found", "fatal_error",
        "internal_error", "invalid_auth", "invalid_token", "is_archived", "missing_scope", "no_active_hooks",
        "no_permission", "no_service", "no_service_id", "no_team", "not_authed", "not_in_channel", "request_timeout",
        "restricted_action", "service_unavailable", "team_access_not_granted", "team_disabled", "token_expired",
        "token_revoked",
    ]

    private func outcome(_ answer: Answer) -> SendOutcome {
        let status = answer.status
        if status == 429 {
            return .failed(status: status, note: "Slack asks to slow down", retryAfter: answer.retryAfter)
        }
        if (300..<400).contains(status) {
            return .failed(status: status, note: "Answered with a redirect, which is not followed")
        }
        let json = try? JSON(parsing: answer.text)
        if status == 200 {
            switch door {
            case .webhook: return .delivered(status: status)
            case .bot where json?["ok"]?.bool == true:
                return .delivered(status: status, receipt: json?["ts"]?.string)
            case .bot: break
            }
        }
        // Only words of Slack's are repeated.
        let word = json?["error"]?.string ?? answer.text
        guard Self.final.contains(word) || Self.mendable.contains(word) else {
            return .failed(status: status, note: "Slack answered \(status)", retryAfter: answer.retryAfter)
        }
        if Self.final.contains(word) { return .refused(status: status, note: "Slack refused the message: \(word)") }
        return .failed(status: status, note: "Slack answered \(word)", retryAfter: answer.retryAfter)
    }

    private func note(_ error: any Error) -> String {
        let text = "\(error)"
        let known = [
            ("deadlineExceeded", "Slack did not answer within \(timeout.seconds) seconds"),
            ("Timeout", "Slack did not answer within \(timeout.seconds) seconds"),
            ("Connection refused", "The connection to Slack was refused"),
            ("remoteConnectionClosed", "Slack closed without an answer"),
            ("reset by peer", "Slack closed without an answer"),
            ("CERTIFICATE", "Slack’s certificate is not trusted"), ("handshake", "No TLS connection to Slack"),
        ]
        return known.first { text.contains($0.0) }?.1 ?? "Slack can’t be reached"
    }
}
