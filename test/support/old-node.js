// Preloaded with --import: makes this Node say that it is an old one.
Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.1.0' } });
