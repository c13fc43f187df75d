// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "postern",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "postern", targets: ["Server"])
    ],
    dependencies: [
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .systemLibrary(name: "CPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CArgon2", pkgConfig: "libargon2", providers: [.apt(["libargon2-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CFido2", pkgConfig: "libfido2", providers: [.apt(["libfido2-dev"])]),
        .systemLibrary(name: "CQREncode", pkgConfig: "libqrencode", providers: [.apt(["libqrencode-dev"])]),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),

        .target(name: "Kernel", dependencies: [.product(name: "Crypto", package: "swift-crypto")]),
        .target(name: "HTML", dependencies: ["Kernel"]),
        .target(name: "Consoles", dependencies: ["HTML", "Kernel"]),
        .target(name: "Store", dependencies: ["Kernel"]),
        .target(
            name: "StoreSQLite",
            dependencies: ["Kernel", "Store", .product(name: "GRDB", package: "GRDB.swift")]),
        .target(name: "StorePostgres", dependencies: ["CPQ", "Kernel", "Store"]),
        .target(
            name: "Credentials",
            dependencies: [
                "CArgon2", "CFido2", "CQREncode", "Kernel", .product(name: "Crypto", package: "swift-crypto"),
            ]),
        .target(
            name: "Web",
            dependencies: [
                "CZlib", "HTML", "Kernel",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            resources: [.embedInCode("Assets")]),
        .target(
            name: "CommandLine",
            dependencies: [
                "HTML", "Kernel",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOCore", package: "swift-nio"),
            ]),
        .target(
            name: "Connectors",
            dependencies: [
                "CCurl", "Kernel",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        .executableTarget(
            name: "Server",
            dependencies: [
                "CommandLine", "Connectors", "Consoles", "Credentials", "HTML", "Kernel", "Store", "StorePostgres",
                "StoreSQLite", "Web",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "Yams", package: "Yams"),
            ]),

        .target(
            name: "TestSupport",
            dependencies: [
                "Consoles", "Credentials", "Kernel", "Store", "StorePostgres", "StoreSQLite", "Web",
                .product(name: "Crypto", package: "swift-crypto"),
            ],
            path: "Tests/Support"),
        .testTarget(name: "CredentialsTests", dependencies: ["Credentials", "Kernel", "TestSupport"]),
        .testTarget(name: "KernelTests", dependencies: ["Kernel", "TestSupport"]),
        .testTarget(name: "StoreTests", dependencies: ["Kernel", "Store", "TestSupport"]),
        .testTarget(name: "ConsolesTests", dependencies: ["Consoles", "HTML", "Kernel", "TestSupport"]),
        .testTarget(
            name: "WebTests", dependencies: ["CommandLine", "Consoles", "HTML", "Kernel", "TestSupport", "Web"]),
        .testTarget(
            name: "ConnectorsTests",
            dependencies: [
                "Connectors", "Kernel", "TestSupport", .product(name: "Crypto", package: "swift-crypto"),
                .product(name: "CryptoExtras", package: "swift-crypto"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ]),
        .testTarget(name: "TamperTests", dependencies: ["Consoles", "Kernel", "TestSupport"]),
    ]
)
