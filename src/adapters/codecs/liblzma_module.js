/** liblzma, compiled: a part of the program as its other modules are. In JavaScript, as TypeScript does not know such imports yet. */
import source liblzma from "node-liblzma/wasm/liblzma.wasm";

export default liblzma;
