import AsyncHTTPClient
import Foundation
import Kernel
import NIOCore
import NIOSSL
import Synchronization

/// What asks a provider: one client for all that trust the system's authorities, and one for each file of others.
///
/// The provider is one host, named by the operator, and those it names: connections are kept open and used again, and a client
/// lives as long as the program.
enum ProviderClient {
    struct Unfit: Error, Sendable, Hashable {
        /// After "Northwind SSO can’t be asked: ".
        let reason: String
    }

    /// By path; the one for the system's authorities has none.
    private static let clients = Mutex<[String: HTTPClient]>([:])

    /// - Parameter path: a PEM file of the authorities to trust in place of the system's. It is read once: what is trusted is what
    ///   the start told of, until the next one. A file that can't be used is looked at again.
    static func trusting(_ path: String?) throws(Unfit) -> HTTPClient {
        let key = path ?? ""
        if let known = clients.withLock({ $0[key] }) { return known }
        let roots = try path.map { path throws(Unfit) in try authorities(at: path) }
        return clients.withLock { clients in
            if let client = clients[key] { return client }
            var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
            configuration.timeout = .init(connect: .seconds(5), read: .seconds(10))
            configuration.connectionPool.retryConnectionEstablishment = false
            configuration.httpVersion = .http1Only
            if let roots {
                var tls = TLSConfiguration.makeClientConfiguration()
                tls.trustRoots = .certificates(roots)
                configuration.tlsConfiguration = tls
            }
            let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
            clients[key] = client
            return client
        }
    }

    private static func authorities(at path: String) throws(Unfit) -> [NIOSSLCertificate] {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw Unfit(reason: "the file of oidc_ca_file, \(path), is not there or can’t be read")
        }
        guard let found = try? NIOSSLCertificate.fromPEMBytes(Array(data)), !found.isEmpty else {
            throw Unfit(reason: "the file of oidc_ca_file, \(path), holds no certificate in PEM")
        }
        return found
    }
}
