import Foundation
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
import Kernel
import Logging
import NIOCore
import NIOSSL
import ServiceLifecycle

/// Why a listener could not be opened.
public struct ListenError: Error, Sendable, CustomStringConvertible {
    public let listener: ListenerName
    public let description: String
}

/// One listener as a service: opens its port, answers, and ends when asked to and what it has in hand is answered.
struct ListenerService: Service {
    let listener: ListenerName
    let address: WebConfiguration.Address
    let tls: WebConfiguration.TLSFiles?
    let responder: ListenerResponder
    let connections: Int
    let requestTime: Span
    let stopTime: Duration
    let logger: Logger
    /// Called with the real port once connections are taken.
    let onListening: @Sendable (ListenerName, Int) async -> Void

    func run() async throws {
        let server: HTTPServerBuilder
        do {
            // Browsers and proxies keep connections; idle ones are closed so that they don't pile up.
            let limit = TimeAmount.microseconds(requestTime.microseconds)
            let http = HTTPServerBuilder { responder in
                LoopBoundChannel(
                    base: HTTP1Channel(
                        responder: responder,
                        configuration: .init(
                            additionalChannelHandlers: [RequestDeadline(limit), LastAnswer()],
                            idleTimeout: .seconds(75))))
            }
            server = try tls.map { try .tls(http, tlsConfiguration: Self.tlsConfiguration($0)) } ?? http
        } catch {
            throw ListenError(
                listener: listener,
                description:
                    "The TLS files can't be used (\(error)); check POSTERN_TLS_CERTIFICATE and POSTERN_TLS_KEY.")
        }
        var quiet = logger
        let ending = ListenerLog.Ending()
        quiet.handler = ListenerLog(logger.handler, ending)
        quiet.logLevel = max(logger.logLevel, .warning)
        let application = Application(
            responder: responder, server: server,
            configuration: .init(
                address: .hostname(address.host, port: address.port), serverName: nil,
                availableConnectionsDelegate: .maximum(connections, logger: quiet)),
            onServerRunning: { [listener, onListening] channel in
                await onListening(listener, channel.localAddress?.port ?? 0)
            },
            logger: quiet)
        do {
            try await withTaskCancellationHandler {
                try await Self.stopping(within: stopTime) { try await application.run() }
            } onCancel: {
                ending.begin()
            }
        } catch let error as IOError {
            throw ListenError(listener: listener, description: describe(error))
        }
    }

    private func describe(_ error: IOError) -> String {
        let port = address.port
        switch error.errnoCode {
        case EADDRINUSE:
            return "port \(port) is taken (the \(listener.rawValue) listener); set \(listener.portVariable)"
        case EACCES:
            return
                "port \(port) needs rights this process does not have (the \(listener.rawValue) listener); "
                + "set \(listener.portVariable) to 1024 or more"
        case EADDRNOTAVAIL:
            return
                "\(address.host) is not an address of this machine (the \(listener.rawValue) listener); "
                + "set POSTERN_\(listener.rawValue.uppercased())_HOST"
        default:
            return "the \(listener.rawValue) listener can't open \(address.host):\(port): \(error)"
        }
    }

    /// Runs `body`; when shutdown begins it has `limit` to end by itself before it is cancelled, connections included.
    private static func stopping(within limit: Duration, _ body: @escaping @Sendable () async throws -> Void)
        async throws
    {
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await body()
                return true
            }
            group.addTask {
                // Returns when shutdown begins, or is cancelled when the listener ended by itself.
                try? await gracefulShutdown()
                try? await Task.sleep(for: limit)
                return false
            }
            _ = try await group.next()
            group.cancelAll()
        }
    }

    private static func tlsConfiguration(_ files: WebConfiguration.TLSFiles) throws -> TLSConfiguration {
        let chain = try NIOSSLCertificate.fromPEMFile(files.certificate).map { NIOSSLCertificateSource.certificate($0) }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain, privateKey: .privateKey(try NIOSSLPrivateKey(file: files.key, format: .pem)))
        configuration.minimumTLSVersion = .tlsv12
        return configuration
    }
}
