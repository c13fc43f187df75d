import AsyncHTTPClient
import Foundation
import Kernel
import NIOCore

/// Posts notices after Standard Webhooks 1.0. It follows no redirect, connects only to an address it has checked, and reads
/// nothing of the answer but its status and when to try again.
public struct WebhookCourier: Courier {
    public struct Settings: Sendable {
        /// From the look-up of the name to the answer's head.
        public var timeout = Span.seconds(15)
        /// Also addresses of private networks, and plain HTTP: for trying things out.
        public var allowsPrivate = false
        public init() {}
    }

    private let masterKey: MasterKey
    private let settings: Settings
    private let clock: Clock

    public init(masterKey: MasterKey, settings: Settings = Settings(), clock: Clock = .system) {
        self.masterKey = masterKey
        self.settings = settings
        self.clock = clock
    }

    public func deliver(_ parcel: Parcel) async -> SendOutcome {
        let secrets = parcel.sealedSecrets.compactMap { masterKey.open($0, context: parcel.sealContext) }
        guard secrets.count == parcel.sealedSecrets.count else {
            return .failed(status: nil, note: "The signing secret can't be opened: the master key was replaced")
        }
        guard let url = URL(string: parcel.url), let host = url.host, !host.isEmpty else {
            return .failed(status: nil, note: "The address can't be read")
        }
        guard url.scheme == "https" || settings.allowsPrivate else {
            return .failed(status: nil, note: "Plain http is used only where private addresses are allowed")
        }
        let began = ContinuousClock.now
        do {
            let bare = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
            let address = try await PublicAddress.checked(bare, allowsPrivate: settings.allowsPrivate)
            let spent = (ContinuousClock.now - began).components.seconds
            let left = max(1, settings.timeout.seconds - spent)
            return try await post(parcel, host: host, to: address, secrets: secrets, within: .seconds(left))
        } catch {
            return Task.isCancelled ? .interrupted : .failed(status: nil, note: note(error))
        }
    }

    private func post(
        _ parcel: Parcel, host: String, to address: String, secrets: [[UInt8]], within timeout: TimeAmount
    ) async throws -> SendOutcome {
        var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
        configuration.timeout = .init(connect: timeout, read: timeout)
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.httpVersion = .http1Only
        // The certificate is checked for the name, and the connection goes to the address that was looked at.
        configuration.dnsOverride = [host: address]
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        let timestamp = clock.now.microseconds / 1_000_000
        var request = HTTPClientRequest(url: parcel.url)
        request.method = .POST
        request.headers.add(name: "content-type", value: "application/cloudevents+json")
        request.headers.add(name: "user-agent", value: "Postern-Webhooks")
        request.headers.add(name: "webhook-id", value: parcel.delivery)
        request.headers.add(name: "webhook-timestamp", value: "\(timestamp)")
        request.headers.add(
            name: "webhook-signature",
            value: WebhookSignature.header(
                id: parcel.delivery, timestamp: timestamp, body: parcel.body, secrets: secrets))
        request.body = .bytes(parcel.body)
        let result: Result<(status: Int64, retryAfter: String?), any Error>
        do {
            let response = try await client.execute(request, timeout: timeout)
            result = .success((Int64(response.status.code), response.headers.first(name: "retry-after")))
        } catch {
            result = .failure(error)
        }
        // Closes the connection with whatever else the receiver would send.
        try? await client.shutdown()
        let (status, retryAfter) = try result.get()
        switch status {
        case let status where (200..<300).contains(status): return .delivered(status: status)
        case 410: return .gone
        case let status where (300..<400).contains(status):
            return .failed(status: status, note: "Answered with a redirect, which is not followed")
        case let status:
            return .failed(
                status: status, note: "Answered \(status)", retryAfter: RetryAfter.span(retryAfter, at: clock.now))
        }
    }

    private func note(_ error: any Error) -> String {
        if let refusal = error as? PublicAddress.Refusal { return refusal.note }
        let text = "\(error)"
        let known = [
            ("deadlineExceeded", "No answer within \(settings.timeout.seconds) seconds"),
            ("readTimeout", "No answer within \(settings.timeout.seconds) seconds"),
            ("connectTimeout", "No connection within \(settings.timeout.seconds) seconds"),
            ("Connection refused", "Connection refused"), ("remoteConnectionClosed", "Closed without an answer"),
            ("reset by peer", "Closed without an answer"), ("CERTIFICATE", "Its certificate is not trusted"),
            ("handshake", "No TLS connection"),
        ]
        return known.first { text.contains($0.0) }?.1 ?? "No connection, or no HTTP answer"
    }
}
