async function n(t){let r=await fetch(`${t}/firn.json`);if(!r.ok)throw new Error(`Cannot read what ${t} says of itself: it answers ${r.status}`);return await r.json()}export{n as a};
